"""Count requests in a cache that all workers share, by the address that they come from."""

from __future__ import annotations

import hashlib
import logging
import time
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from django.core.cache import caches

from django_at_jwt.conf import app_settings
from django_at_jwt.core.quotation import single_line

if TYPE_CHECKING:
    from django.http import HttpRequest

logger = logging.getLogger("django_at_jwt")


def seconds_over_limit(request: HttpRequest, name: str, limit: tuple[int, int]) -> int:
    """Count a request for the address that it comes from; return 0, or the seconds to wait if it is over the limit.

    Requests are counted in windows that begin at fixed instants. If the cache fails, the request is allowed and an
    error is logged.

    Args:
        name: what is limited.
        limit: the most requests, and the seconds in which they count.
    """
    most, seconds = limit
    window, elapsed = divmod(int(time.time()), seconds)
    # Hashed, since caches limit the characters of keys.
    key = f"django_at_jwt:{name}:{seconds}:{window}:{hashlib.sha256(network_of(request).encode()).hexdigest()}"
    try:
        number = count_in_cache(key, seconds)
    except Exception as error:  # noqa: BLE001 - each cache has its own errors
        logger.error("A request could not be counted in the cache, and is allowed: %s", single_line(error))  # noqa: TRY400 - no traceback is needed
        return 0
    return 0 if number <= most else seconds - elapsed


def count_in_cache(key: str, seconds: int) -> int:
    """Add 1 to a number in the cache ``AT_JWT["ATTEMPT_CACHE"]``, and return it.

    Args:
        seconds: how long the number is kept.
    """
    cache = caches[app_settings().attempt_cache]
    cache.add(key, 0, seconds)
    try:
        number = int(cache.incr(key))
    except ValueError:
        # The entry was dropped in between, or this cache stores nothing.
        return 1
    # Some caches begin their own default timeout with each change.
    cache.touch(key, seconds)
    return number


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
