"""The check of verified tokens for revocation: which one applies to an issuer's tokens in a view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from django_at_jwt.conf import LOCAL_REVOCATION_POLICY, app_settings, has_issuer_tables, process_cached
from django_at_jwt.core.revocation import Revocation

from .remote.deny_list import RemoteDenyList, RemoteDenyListCheck
from .remote.introspection import RemoteIntrospection
from .remote.options import DenyListOptions, IntrospectionOptions

if TYPE_CHECKING:
    from django_at_jwt.conf import IssuerSettings
    from django_at_jwt.core.revocation import RevocationPolicy
    from django_at_jwt.core.verifier import KeySource

    from .remote.options import RemoteOptions

# `manage.py check` reports it for the setting, too.
NO_TABLES: Final = (
    'The revocation "{}" needs the tables of the issuer: add "oauth2_provider" and "django_at_jwt" to INSTALLED_APPS, '
    'or use "offline".'
)
NO_CREDENTIALS: Final = (
    'The revocation "introspect" needs the credentials of this API at the issuer: add "client_id" and "client_secret" '
    'to AT_JWT["ISSUERS"]["{}"].'
)


def local_revocation_policy(revocation: Revocation, audiences: frozenset[str]) -> RevocationPolicy | None:
    """Return the check of the local issuer's tokens, or ``None`` for ``OFFLINE``.

    Raises:
        ImproperlyConfigured: the check needs the tables of the issuer, and this project does not have them.
    """
    if revocation is Revocation.OFFLINE:
        return None
    if not has_issuer_tables():
        raise ImproperlyConfigured(NO_TABLES.format(revocation))
    # Imported by its path, so that an API without an authorization server never imports that code.
    policy: RevocationPolicy = import_string(LOCAL_REVOCATION_POLICY)(revocation, audiences)
    return policy


def remote_revocation_policy(
    issuer: IssuerSettings, remote: RemoteOptions, keys: KeySource, *, audiences: frozenset[str], revocation: Revocation
) -> RevocationPolicy | None:
    """Return the check of a remote issuer's tokens at the API with these identifiers, or ``None`` for ``OFFLINE``.

    Args:
        keys: of the issuer, to verify its document of revocations.
        revocation: how tokens are checked.

    Raises:
        ImproperlyConfigured: the settings have no credentials for introspection.
    """
    if revocation is Revocation.OFFLINE:
        return None
    if revocation is Revocation.INTROSPECT:
        return remote_introspection(issuer, remote)
    return RemoteDenyListCheck(remote_deny_list(issuer, remote, keys), audiences)


@process_cached
def remote_deny_list(issuer: IssuerSettings, remote: RemoteOptions, keys: KeySource) -> RemoteDenyList:
    """Return this process's copy of the revocations of a remote issuer.

    Raises:
        ImproperlyConfigured: as :func:`remote_revocation_policy`.
    """
    settings = app_settings()
    unavailable = issuer.revocation_unavailable or settings.revocation_unavailable
    options = DenyListOptions(
        remote=remote,
        max_age=issuer.deny_list_max_age,
        max_stale=settings.revocation_max_stale,
        leeway=settings.leeway_for(issuer),
        accept_unavailable=unavailable == "accept",
        introspection=remote_introspection(issuer, remote) if unavailable == Revocation.INTROSPECT else None,
    )
    return RemoteDenyList(options, keys)


@process_cached
def remote_introspection(issuer: IssuerSettings, remote: RemoteOptions) -> RemoteIntrospection:
    """Return the introspection of a remote issuer's tokens, with the answers that this process caches.

    Raises:
        ImproperlyConfigured: the settings have no credentials for introspection.
    """
    if not (issuer.client_id and issuer.client_secret):
        raise ImproperlyConfigured(NO_CREDENTIALS.format(issuer.issuer))
    settings = app_settings()
    return RemoteIntrospection(
        IntrospectionOptions(
            remote=remote,
            endpoint=issuer.introspection_endpoint,
            client_id=issuer.client_id,
            client_secret=issuer.client_secret,
            max_age=issuer.introspection_max_age,
            max_stale=settings.revocation_max_stale,
            accept_unavailable=settings.revocation_unavailable == "accept",
        )
    )


def revocation_of_view(value: object) -> Revocation | None:
    """Return the ``revocation`` that a view declares.

    Raises:
        ImproperlyConfigured: it is no :class:`~django_at_jwt.core.revocation.Revocation`.
    """
    if value is not None and value not in tuple(Revocation):
        raise ImproperlyConfigured(f"revocation must be one of {', '.join(Revocation)}, or None (got {value!r}).")
    return None if value is None else Revocation(str(value))
