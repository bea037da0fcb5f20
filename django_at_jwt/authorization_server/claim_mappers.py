"""The claim mappers that are in use: those that the settings declare, and those that administrators keep."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import Error as AnyDatabaseError

from django_at_jwt.conf import AppSettings, app_settings
from django_at_jwt.core.errors import IssuanceUnavailable
from django_at_jwt.core.mappers import CompiledMappers, MapperRule, compile_rules
from django_at_jwt.models import ClaimMapper
from django_at_jwt.models.mappable import refuse_source

from .snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("django_at_jwt")


def _read(database: str) -> tuple[MapperRule, ...]:
    return tuple(row.rule_or_broken() for row in ClaimMapper.objects.using(database))


class ClaimMappers:
    """All claim mappers, compiled and shared by all threads of this process.

    What the settings declare wins over a row of the same name.
    """

    def __init__(self) -> None:
        self._rows = Snapshot(ClaimMapper, _read)
        self._compiled: tuple[tuple[MapperRule, ...], AppSettings, CompiledMappers] | None = None

    def current(self) -> CompiledMappers:
        """Give the mappers as they are now; no query while what was read before is young enough.

        Raises:
            IssuanceUnavailable: they cannot be read. Without them a token might lack a claim that it must have.
        """
        return self._compile(self._rows.current)

    def latest(self) -> CompiledMappers:
        """Give the mappers as they were a second ago or later, whichever process has changed them.

        Raises:
            IssuanceUnavailable: as :meth:`current`.
        """
        return self._compile(self._rows.latest)

    def _compile(self, read: Callable[[], tuple[MapperRule, ...]]) -> CompiledMappers:
        try:
            rows = read()
        except AnyDatabaseError:
            logger.exception("The claim mappers could not be read")
            raise IssuanceUnavailable("the claim mappers cannot be read") from None
        settings = app_settings()
        before = self._compiled
        if before is not None and before[0] is rows and before[1] is settings:
            return before[2]
        compiled = compile_site_rules(rows)
        for mapper in compiled:
            if mapper.broken is not None:
                logger.error("Claim mapper %r cannot be used: %s", mapper.rule.key, mapper.broken.detail)
        self._compiled = (rows, settings, compiled)
        return compiled

    def forget(self) -> None:
        """Read the rows again at the next use."""
        self._rows.forget()


def compile_site_rules(rows: tuple[MapperRule, ...]) -> CompiledMappers:
    """Compile the rules of rows together with those that the settings declare, by what this site allows."""
    settings = app_settings()
    declared = {rule.key: rule for rule in settings.claim_mappers}
    kept = (rule for rule in rows if rule.key not in declared)
    return compile_rules(
        [*declared.values(), *kept], refuse_source=refuse_source, hash_keys=dict(settings.claim_hash_keys)
    )


claim_mappers = ClaimMappers()
