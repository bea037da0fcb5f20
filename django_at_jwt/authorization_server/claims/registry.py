"""The current claim mappers: declared in the settings, or stored by administrators."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import Error as AnyDatabaseError

from django_at_jwt.authorization_server.row_cache import RowCache
from django_at_jwt.conf import app_settings, register_process_cache
from django_at_jwt.core.claims import CompiledMappers, MapperRule, compile_rules
from django_at_jwt.core.errors import IssuanceUnavailable
from django_at_jwt.core.quotation import single_line
from django_at_jwt.models import ClaimMapper
from django_at_jwt.models.mappable import find_hash_key, refuse_source

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("django_at_jwt")


def _read(database: str) -> CompiledMappers:
    compiled = compile_site_rules(tuple(row.rule_or_broken() for row in ClaimMapper.objects.using(database)))
    for mapper in compiled:
        if mapper.broken is not None:
            logger.error("Claim mapper %r is invalid: %s", mapper.rule.key, mapper.broken.detail)
    return compiled


class ClaimMappers:
    """The compiled claim mappers of this process, shared by all threads.

    A mapper declared in the settings replaces a row of the same name.
    """

    def __init__(self) -> None:
        self._mappers = RowCache(ClaimMapper, _read)

    def current(self) -> CompiledMappers:
        """Return the current mappers, without a query if they were read recently.

        Raises:
            IssuanceUnavailable: the mappers cannot be read; without them a token could lack a required claim.
        """
        return self._available(self._mappers.current)

    def latest(self) -> CompiledMappers:
        """Return the mappers as of at most one second ago, including changes by other processes.

        Raises:
            IssuanceUnavailable: as :meth:`current`.
        """
        return self._available(self._mappers.latest)

    @staticmethod
    def _available(read: Callable[[], CompiledMappers]) -> CompiledMappers:
        try:
            return read()
        except AnyDatabaseError as error:
            raise IssuanceUnavailable(f"the claim mappers cannot be read: {single_line(error)}") from None

    def clear(self) -> None:
        """Discard what was read, as in a new process."""
        self._mappers.clear()


def compile_site_rules(rows: tuple[MapperRule, ...]) -> CompiledMappers:
    """Compile stored rules and those that the settings declare, with this site's restrictions on sources."""
    declared = {rule.key: rule for rule in app_settings().claim_mappers}
    kept = (rule for rule in rows if rule.key not in declared)
    return compile_rules([*declared.values(), *kept], refuse_source=refuse_source, find_hash_key=find_hash_key)


claim_mappers = ClaimMappers()
register_process_cache(claim_mappers.clear)
