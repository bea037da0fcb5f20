"""The subject of a token: from a user to ``sub``, and back (RFC 9068 sections 2.2, 5 and 6)."""

from __future__ import annotations

import base64
import uuid
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ValidationError
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import get_access_token_model

from django_at_jwt.conf import app_settings, token_user_model
from django_at_jwt.core.errors import InvalidGrant, IssuanceUnavailable
from django_at_jwt.core.grant_types import CLIENT_CREDENTIALS
from django_at_jwt.core.subjects import AmbiguousSector, is_subject, pairwise_subject, sector_of
from django_at_jwt.core.token_id import is_unstored
from django_at_jwt.models import Authorization
from django_at_jwt.models.authorization import credential_hash, label_of
from django_at_jwt.models.primary import primary_rows

from .site_functions import call_site_function

if TYPE_CHECKING:
    from django.db.models import Field

    from django_at_jwt.core.profile import AccessTokenClaims


def subject_of(user: Any, application: Any) -> str:
    """Return the ``sub`` of a user in a client's tokens, by ``AT_JWT["SUBJECT"]`` and the pairwise settings.

    Raises:
        InvalidGrant: it equals the client's id, so that the token would look like the client's own.
        IssuanceUnavailable: the user has no such identifier, or the client's sector is ambiguous.
    """
    settings = app_settings()
    subject = _local_subject(user)
    if settings.pairwise_subject_key is not None:
        key = base64.urlsafe_b64decode(settings.pairwise_subject_key + "=")
        subject = pairwise_subject(subject, sector=_sector(application), key=key)
    if subject == application.client_id:
        raise InvalidGrant(
            "This client cannot act for this user.",
            detail="the user's identifier equals the client's id (RFC 9068 section 5); give the client another id",
        )
    return subject


def token_subject(user: Any, application: Any, *, grant: str) -> str | None:
    """Return the ``sub`` of the resource owner, or ``None`` if the client acts for itself (RFC 9068 section 2.2).

    Args:
        grant: the grant type of the request, or ``implicit``.

    Raises:
        InvalidGrant: the resource owner's account is not active, the client's id is also a user's ``sub``, or as
            :func:`subject_of`.
        IssuanceUnavailable: as :func:`subject_of`.
    """
    if grant == CLIENT_CREDENTIALS or user is None:
        if is_subject_of_user(application.client_id):
            raise InvalidGrant(
                "This client cannot get a token for itself.",
                detail="the client's id is also a user's identifier (RFC 9068 section 5); give the client another id",
            )
        return None
    if not getattr(user, "is_active", True):
        raise InvalidGrant("The resource owner's account is inactive.")
    return subject_of(user, application)


def _local_subject(user: Any) -> str:
    model = token_user_model()._meta.concrete_model
    if model is None or not isinstance(user, model):
        # Users of different models can have the same identifier, and the token's row cannot refer to this one.
        raise IssuanceUnavailable(
            f"the user is of model {user._meta.label}; access tokens are for users of {token_user_model()._meta.label} "
            "(AccessToken.user)"
        )
    rule = app_settings().subject
    is_computed = "." in rule
    value = call_site_function("SUBJECT", rule, user) if is_computed else getattr(user, rule)
    if value is None or value == "":
        raise IssuanceUnavailable(f'the user has no identifier: AT_JWT["SUBJECT"] ({rule!r}) is empty')
    # A field may have its own value type. Other objects that a function returns seldom have a stable text.
    if is_computed and (isinstance(value, bool) or not isinstance(value, (str, int, uuid.UUID))):
        problem = f"a {type(value).__name__} instead of a str, int or UUID"
    elif not is_subject(str(value)):
        problem = "an unprintable text or more than 255 characters (OpenID Connect Core section 2)"
    else:
        return str(value)
    raise IssuanceUnavailable(f'AT_JWT["SUBJECT"] ({rule!r}) yields {problem}')


def _sector(application: Any) -> str:
    declared = dict(app_settings().sector_identifiers).get(application.client_id)
    if declared is not None:
        return declared
    try:
        return sector_of(
            application.redirect_uris.split(),
            client_id=application.client_id,
            grant=application.authorization_grant_type,
        )
    except AmbiguousSector as error:
        raise IssuanceUnavailable(f'{error}; set its sector in AT_JWT["SECTOR_IDENTIFIERS"]') from None


def user_of_computed_subject(claims: AccessTokenClaims, token: str) -> Any:
    """Return the user of a verified token whose ``sub`` was computed, or ``None``.

    ``USER_BY_SUBJECT`` finds the user; without it, or with pairwise subjects, the token's row does. A token that was
    revoked or replaced by a refresh has no row. If it was issued without one, its authorization finds the user. Not
    checked: whether the account is active.

    Raises:
        ImproperlyConfigured: the callable returned a user of another model than ``AccessToken.user``.
    """
    settings = app_settings()
    if settings.pairwise_subject_key is None and settings.user_by_subject is not None:
        return _user_by_callable(settings.user_by_subject, claims.subject)
    rows = get_access_token_model().objects.select_related("user")
    row = rows.filter(token_checksum=credential_hash(token)).first()
    if row is not None:
        return row.user
    return _user_of_authorization(claims.token_id.partition(".")[0]) if is_unstored(claims.token_id) else None


def _user_of_authorization(identifier: str) -> Any:
    model = token_user_model()
    row = primary_rows(Authorization).filter(identifier=identifier, user_model=label_of(model)).first()
    return None if row is None else model._base_manager.filter(pk=row.user_key).first()


def is_subject_of_user(text: str) -> bool:
    """Return whether a text, such as a client's id, is the ``sub`` of a user (RFC 9068 section 5).

    Not checked: pairwise subjects, which cannot be chosen, and a callable ``SUBJECT`` without ``USER_BY_SUBJECT``.

    Raises:
        IssuanceUnavailable: ``USER_BY_SUBJECT`` failed.
        ImproperlyConfigured: it returned a user of another model than ``AccessToken.user``.
    """
    settings = app_settings()
    if settings.pairwise_subject_key is not None:
        return False
    if "." not in settings.subject:
        return _user_by_field(settings.subject, text) is not None
    path = settings.user_by_subject
    return path is not None and _user_by_callable(path, text) is not None


def _user_by_callable(path: str, subject: str) -> Any:
    user, meta = call_site_function("USER_BY_SUBJECT", path, subject), token_user_model()._meta
    if user is not None and not isinstance(user, meta.concrete_model or ()):
        raise ImproperlyConfigured(
            f'AT_JWT["USER_BY_SUBJECT"] ({path!r}) must return a {meta.label} (the model of AccessToken.user) or None '
            f"(got a {type(user).__name__})."
        )
    return user


def refuse_subject_as_client_id(client_id: str) -> None:
    """Validate the id of a client in every form that creates or changes one.

    Raises:
        ValidationError: a user has this identifier, so that the client's tokens would look like the user's.
    """
    if is_subject_of_user(client_id):
        raise ValidationError(
            _(
                "A user of this site has this identifier in access tokens, so no client can use it (RFC 9068 "
                "section 5)."
            ),
            code="subject_of_user",
        )


def subject_field() -> Field[Any, Any] | None:
    """Return the field of the tokens' user model that ``sub`` is read from, or ``None`` if a callable computes it.

    Raises:
        FieldDoesNotExist: the user model has no such field.
    """
    rule = app_settings().subject
    if "." in rule:
        return None
    meta = token_user_model()._meta
    field: Field[Any, Any] = meta.pk if rule == "pk" else meta.get_field(rule)  # type: ignore[assignment]
    return field


def _user_by_field(rule: str, subject: str) -> Any:
    try:
        field = subject_field()
    except FieldDoesNotExist:
        return None
    value = None if field is None else _value_of(field, subject)
    if value is None:
        return None
    users = token_user_model()._base_manager.filter(**{rule: value})
    return next((user for user in users if str(getattr(user, rule)) == subject), None)


@lru_cache(maxsize=1024)
def _value_of(field: Field[Any, Any], subject: str) -> Any:
    """Return the value of a field that is written as ``subject``, or ``None``. Cached for client ids, which repeat."""
    try:
        value = field.to_python(subject)
    except (ValidationError, ValueError, OverflowError):
        return None
    # The database reads " 1" and "01" as numbers, and some databases ignore case. An identifier must match exactly;
    # this also saves a query for most other texts.
    return value if str(value) == subject else None
