"""Resolution of a verified token to ``request.user``: a user of this site, a client or a subject without a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, InterfaceError
from django.utils.module_loading import import_string

from django_at_jwt.conf import app_settings, local_issuer
from django_at_jwt.core.errors import ReadNeeded, RejectionReason, RevocationUnavailable, TokenRejected
from django_at_jwt.core.quotation import is_storable, single_line
from django_at_jwt.core.subjects import UserMode
from django_at_jwt.inbound.outages import is_outage

from .lookup import UserOptions, stored_user
from .principal import MachinePrincipal, TokenPrincipal
from .provisioning import user_at_first_sight

if TYPE_CHECKING:
    from django_at_jwt.core.profile import AccessTokenClaims


def user_options(issuer: str) -> UserOptions:
    """Return the user options of an accepted issuer."""
    settings = app_settings()
    entry = next((each for each in settings.issuers if each.issuer == issuer), None)
    if entry is not None:
        return UserOptions(mode=entry.user_mode, field=entry.user_field, fill=entry.fill_user)
    if issuer == local_issuer():
        return UserOptions(mode=settings.user_mode, lookup=settings.local_subject_lookup)
    return UserOptions(mode=UserMode.STATELESS)


def principal_for(claims: AccessTokenClaims, token: str) -> Any:
    """Return the principal of a verified token: a user of this site, or a principal without a row.

    Makes no query for a client that acts for itself or in stateless mode, and one query for a user. No claim grants
    staff or superuser status, or a permission.

    Raises:
        TokenRejected: the user does not exist, or is not active.
        RevocationUnavailable: the database is not available, so the user may be inactive.
        ImproperlyConfigured: the table of subjects is needed, but the app is not installed.
    """
    principal = _rowless_principal(claims)
    if principal is not None:
        return principal
    options = user_options(claims.issuer)
    try:
        user = known_user(claims, token, options)
        return _active(user_at_first_sight(claims, options)) if user is None else user
    except (DatabaseError, InterfaceError) as error:
        if not is_outage(error):
            raise
        raise RevocationUnavailable(f"the user of an access token cannot be read: {single_line(error)}") from error


def principal_in_memory(claims: AccessTokenClaims) -> MachinePrincipal | TokenPrincipal:
    """Return the principal of a verified token if it has no row.

    Raises:
        ReadNeeded: it has one.
    """
    principal = _rowless_principal(claims)
    if principal is None:
        raise ReadNeeded
    return principal


def _rowless_principal(claims: AccessTokenClaims) -> MachinePrincipal | TokenPrincipal | None:
    if claims.is_machine:
        return MachinePrincipal(claims.client_id, claims.issuer)
    return TokenPrincipal(claims) if user_options(claims.issuer).mode is UserMode.STATELESS else None


def known_user(claims: AccessTokenClaims, token: str, options: UserOptions) -> Any | None:
    """Return the user of a verified token without creating one: ``None`` if the first request would create it.

    Raises:
        TokenRejected: the user does not exist and would not be created, or is not active.
        ImproperlyConfigured: the table of subjects is needed, but the app is not installed.
    """
    if not is_storable(claims.subject):
        raise TokenRejected(RejectionReason.UNKNOWN_SUBJECT, "no user can have this identifier")
    lookup = None if options.lookup is None else import_string(options.lookup)
    user = stored_user(claims, options) if lookup is None else lookup(claims, token)
    if user is not None:
        return _active(user)
    if options.mode is not UserMode.CREATED:
        raise TokenRejected(RejectionReason.UNKNOWN_SUBJECT, "no user has this identifier")
    return None


def _active(user: Any) -> Any:
    # As in Django's authentication backend, users of a model without the attribute are active.
    if not getattr(user, "is_active", True):
        raise TokenRejected(RejectionReason.INACTIVE_SUBJECT, "the user is inactive")
    return user
