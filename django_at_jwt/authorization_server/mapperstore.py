"""From the rows of claim mappers to compiled rules: read rarely, held in this process."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from django.db import Error as AnyDatabaseError
from django.db import router

from django_at_jwt.conf import AppSettings, app_settings
from django_at_jwt.core.errors import IssuanceUnavailable
from django_at_jwt.core.mappers import CompiledMappers, MapperRule, compile_rules
from django_at_jwt.models import ClaimMapper
from django_at_jwt.models.mappable import refuse_source

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger("django_at_jwt")

_NEVER: Final = float("-inf")


class MapperStore:
    """The compiled claim mappers, shared by all threads of this process.

    The rows are read from the primary database again when they are older than ``KEY_RING_MAX_AGE``. If that fails,
    those that were read before go on being used for ``KEY_RING_MAX_STALE``: after that nobody can say any more whether
    one of them was taken back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: Sequence[MapperRule] = ()
        self._compiled: tuple[AppSettings | None, CompiledMappers] = (None, CompiledMappers(()))
        self._read_at = self._succeeded_at = _NEVER

    def current(self) -> CompiledMappers:
        """Give the mappers as they are now.

        Raises:
            IssuanceUnavailable: the rows could not be read, and never were, or not for ``KEY_RING_MAX_STALE``. Without
                them a token might lack a claim that it must have.
        """
        settings = app_settings()
        if time.monotonic() - self._read_at >= settings.key_ring_max_age:
            # Whoever finds the lock taken goes on with the mappers that there are: one read at a time is enough.
            first = self._read_at == _NEVER
            if self._lock.acquire(blocking=first):
                try:
                    if time.monotonic() - self._read_at >= settings.key_ring_max_age:
                        self._read()
                finally:
                    self._lock.release()
        if time.monotonic() - self._succeeded_at > max(settings.key_ring_max_stale, settings.key_ring_max_age):
            raise IssuanceUnavailable("the claim mappers cannot be read, and those read before are too old")
        compiled_with, compiled = self._compiled
        if compiled_with is not settings:
            # Settings declare mappers too, and what may be read. They are the same object until they change.
            with self._lock:
                compiled = self._compile(settings)
        return compiled

    def forget(self, **_signal: Any) -> None:
        """Read the rows again at the next use, for instance because this process has just changed them."""
        with self._lock:
            self._read_at = _NEVER

    def _read(self) -> None:
        self._read_at = time.monotonic()
        try:
            # From the primary: a replica may lag behind a mapper that was taken back.
            rows = list(ClaimMapper.objects.using(router.db_for_write(ClaimMapper)))
        except AnyDatabaseError:
            logger.exception("The claim mappers could not be read")
            return
        self._rows = [row.rule_or_broken() for row in rows]
        self._succeeded_at = self._read_at
        self._compile(app_settings())

    def _compile(self, settings: AppSettings) -> CompiledMappers:
        declared = {rule.key: rule for rule in settings.claim_mappers}
        rows = [rule for rule in self._rows if rule.key not in declared]
        compiled = compile_rules([*declared.values(), *rows], refuse_source=refuse_source)
        for mapper in compiled:
            if mapper.broken is not None:
                logger.error("Claim mapper %r cannot be used: %s", mapper.rule.key, mapper.broken.detail)
        self._compiled = (settings, compiled)
        return compiled


mapper_store = MapperStore()
