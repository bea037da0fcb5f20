"""Count what clients and users do, in a cache that all workers share."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any

from django.core.cache import caches

from django_at_jwt.conf import app_settings
from django_at_jwt.core.quotation import single_line

if TYPE_CHECKING:
    from django.http import HttpRequest

logger = logging.getLogger("django_at_jwt")


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """A counted attempt.

    Attributes:
        number: how many there were in the present window, with this one; 0 if the cache failed.
        retry_after: seconds until the next window begins.
    """

    number: int
    retry_after: int
    _key: str

    def take_back(self) -> None:
        """Don't count the attempt, which turned out to be right."""
        if not self.number:
            return
        try:
            _cache().decr(self._key)
        except Exception as error:  # noqa: BLE001 - as below; too high a count is harmless
            logger.warning("A correct attempt could not be removed from the count in the cache: %s", single_line(error))


def count_attempt(name: str, sender: str, seconds: int) -> Counted:
    """Count an attempt in the cache ``AT_JWT["ATTEMPT_CACHE"]``.

    If the cache fails, an error is logged, and the attempt should be allowed. Caches drop old entries, so they need no
    clean-up.

    Args:
        name: what is counted.
        sender: whose attempt it is.
        seconds: the length of the windows, which begin at fixed instants.
    """
    window, elapsed = divmod(int(time.time()), seconds)
    # Hashed, since it may be a session key, and caches limit the characters.
    key = f"django_at_jwt:{name}:{seconds}:{window}:{hashlib.sha256(sender.encode()).hexdigest()}"
    try:
        number = _increased(key, seconds)
    except Exception as error:  # noqa: BLE001 - each cache has its own errors
        logger.error("An attempt could not be counted in the cache, and is allowed: %s", single_line(error))  # noqa: TRY400 - no traceback is needed
        number = 0
    return Counted(number=number, retry_after=seconds - elapsed, _key=key)


def _increased(key: str, seconds: int) -> int:
    cache = _cache()
    cache.add(key, 0, seconds)
    try:
        number = int(cache.incr(key))
    except ValueError:
        # The entry was dropped in between, or this cache stores nothing.
        return 1
    # Some caches begin their own default timeout with each change.
    cache.touch(key, seconds)
    return number


def _cache() -> Any:
    return caches[app_settings().attempt_cache]


def network_of(request: HttpRequest) -> str:
    """Return the address that a request comes from, or the /64 network of an IPv6 address, which one subscriber has.

    Headers such as ``X-Forwarded-For``, which a client can send itself, are not read.
    """
    address = request.META.get("REMOTE_ADDR", "")
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        # A server on a Unix socket sets no address.
        return str(address)
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)
