"""What this process keeps of the issuers in ``AT_JWT["ISSUERS"]``: their keys, revocations and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

from django_at_jwt.conf import app_settings, process_cached
from django_at_jwt.core.remote_issuer import CacheBounds
from django_at_jwt.core.revocation import Revocation

from .remote.deny_list import RemoteDenyList
from .remote.introspection import RemoteIntrospection
from .remote.key_source import RemoteKeySource
from .remote.options import DenyListOptions, IntrospectionOptions, RemoteOptions

if TYPE_CHECKING:
    from django_at_jwt.conf import IssuerSettings


def remote_options(issuer: IssuerSettings) -> RemoteOptions:
    """Return how the keys of an issuer are fetched and cached.

    Plain http on a loopback address is allowed if ``DEBUG`` is on.
    """
    settings = app_settings()
    return RemoteOptions(
        issuer=issuer.issuer,
        algorithms=issuer.algorithms,
        timeout=settings.issuer_timeout,
        cache_bounds=CacheBounds(min=settings.issuer_min_age, max=settings.issuer_max_age),
        max_stale=settings.issuer_max_stale,
        unknown_kid_cooldown=settings.unknown_kid_cooldown,
        cache=settings.issuer_cache,
        loopback_http=bool(django_settings.DEBUG),
    )


@process_cached
def remote_key_source(issuer: IssuerSettings) -> RemoteKeySource:
    """Return the key source of an issuer."""
    return RemoteKeySource(remote_options(issuer))


@process_cached
def remote_deny_list(issuer: IssuerSettings) -> RemoteDenyList:
    """Return the revocations that an issuer publishes.

    Raises:
        ImproperlyConfigured: as :func:`remote_introspection`, if that is used while they are unavailable.
    """
    settings = app_settings()
    unavailable = issuer.revocation_unavailable or settings.revocation_unavailable
    options = DenyListOptions(
        remote=remote_options(issuer),
        max_age=issuer.deny_list_max_age,
        max_stale=settings.revocation_max_stale,
        leeway=settings.leeway_for(issuer),
        accept_unavailable=unavailable == "accept",
        introspection=remote_introspection(issuer) if unavailable == Revocation.INTROSPECT else None,
    )
    return RemoteDenyList(options, remote_key_source(issuer))


@process_cached
def remote_introspection(issuer: IssuerSettings) -> RemoteIntrospection:
    """Return the introspection of an issuer's tokens.

    Raises:
        ImproperlyConfigured: the settings have no credentials for it.
    """
    if not (issuer.client_id and issuer.client_secret):
        raise ImproperlyConfigured(
            'The revocation "introspect" needs the credentials of this API at the issuer: add "client_id" and '
            f'"client_secret" to AT_JWT["ISSUERS"]["{issuer.issuer}"].'
        )
    settings = app_settings()
    return RemoteIntrospection(
        IntrospectionOptions(
            remote=remote_options(issuer),
            endpoint=issuer.introspection_endpoint,
            client_id=issuer.client_id,
            client_secret=issuer.client_secret,
            max_age=issuer.introspection_max_age,
            max_stale=settings.revocation_max_stale,
            accept_unavailable=settings.revocation_unavailable == "accept",
        )
    )
