"""The check of verified tokens for revocation: which one applies to an issuer's tokens in a view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from django_at_jwt.conf import has_issuer_tables
from django_at_jwt.core.revocation import Revocation

from .remote.deny_list import RemoteDenyListCheck
from .remote_issuers import remote_deny_list, remote_introspection

if TYPE_CHECKING:
    from django_at_jwt.conf import IssuerSettings
    from django_at_jwt.core.revocation import RevocationPolicy


def local_revocation_policy(revocation: Revocation, audiences: frozenset[str]) -> RevocationPolicy | None:
    """Return the check of the local issuer's tokens, or ``None`` for ``OFFLINE``.

    Raises:
        ImproperlyConfigured: the check needs the tables of the issuer, and this project does not have them.
    """
    if revocation is Revocation.OFFLINE:
        return None
    if not has_issuer_tables():
        raise ImproperlyConfigured(
            f'The revocation "{revocation}" needs the tables of the issuer: add "oauth2_provider" and "django_at_jwt" '
            'to INSTALLED_APPS, or use "offline".'
        )
    # Imported by its path, so that an API without an authorization server never imports that code.
    make = import_string("django_at_jwt.authorization_server.revocation.policies.local_policy")
    policy: RevocationPolicy = make(revocation, audiences)
    return policy


def remote_revocation_policy(
    issuer: IssuerSettings, revocation: Revocation, audiences: frozenset[str]
) -> RevocationPolicy | None:
    """Return the check of a remote issuer's tokens at the API with these identifiers, or ``None`` for ``OFFLINE``.

    Raises:
        ImproperlyConfigured: the settings have no credentials for introspection.
    """
    if revocation is Revocation.OFFLINE:
        return None
    if revocation is Revocation.INTROSPECT:
        return remote_introspection(issuer)
    return RemoteDenyListCheck(remote_deny_list(issuer), audiences)


def revocation_of_view(value: object) -> Revocation | None:
    """Return the ``revocation`` that a view declares.

    Raises:
        ImproperlyConfigured: it is no :class:`~django_at_jwt.core.revocation.Revocation`.
    """
    if value is not None and value not in tuple(Revocation):
        raise ImproperlyConfigured(f"revocation must be one of {', '.join(Revocation)}, or None (got {value!r}).")
    return None if value is None else Revocation(str(value))
