"""The live entries of the deny list in this process."""

from __future__ import annotations

from django_at_jwt.authorization_server.row_cache import RowCache
from django_at_jwt.conf import register_process_cache
from django_at_jwt.core.deny_list import DenyList
from django_at_jwt.models import DenyListEntry


def _read(database: str) -> DenyList:
    return DenyList(row.entry for row in DenyListEntry.objects.using(database).iterator())


deny_list = RowCache(DenyListEntry, _read)
register_process_cache(deny_list.clear)
