"""Who a token is about: from a user to ``sub``, and back (RFC 9068 §2.2, §5 and §6)."""

from __future__ import annotations

import base64
import hashlib
import traceback
import uuid
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ValidationError
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import get_access_token_model, get_application_model

from django_at_jwt.conf import app_settings, token_user_model
from django_at_jwt.core.errors import InvalidGrant, IssuanceUnavailable
from django_at_jwt.core.subjects import AmbiguousSector, is_subject, pairwise_subject, sector_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Field

    from django_at_jwt.core.profile import AccessTokenClaims


def subject_of(user: Any, application: Any) -> str:
    """Give the ``sub`` of a user in the tokens of a client, by ``AT_JWT["SUBJECT"]`` and the pairwise settings.

    Raises:
        InvalidGrant: it is the client's own id, so that a token would read as the client's.
        IssuanceUnavailable: the user has no such identifier, or the client's sector is not clear.
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


def token_subject(user: Any, application: Any, *, grant: str | None) -> str | None:
    """Give the ``sub`` of the resource owner, or ``None`` where the client acts for itself (RFC 9068 §2.2).

    Args:
        grant: the grant type of the request, as far as it names one.

    Raises:
        InvalidGrant: the resource owner's account is not active, the client's id reads as somebody's ``sub``, or as
            :func:`subject_of`.
        IssuanceUnavailable: as :func:`subject_of`.
    """
    if grant == "client_credentials" or user is None:
        if is_subject_of_somebody(application.client_id):
            raise InvalidGrant(
                "This client cannot get a token for itself.",
                detail="the client's id is also a user's identifier (RFC 9068 section 5); give the client another id",
            )
        return None
    if not getattr(user, "is_active", True):
        raise InvalidGrant("The resource owner's account is not active.")
    return subject_of(user, application)


def _local_subject(user: Any) -> str:
    model = token_user_model()._meta.concrete_model
    if model is None or not isinstance(user, model):
        # Users of different models can have the same identifier, and the row of the token could not hold this one.
        raise IssuanceUnavailable(
            f"the user is a {user._meta.label}, and access tokens are about {token_user_model()._meta.label} "
            "(AccessToken.user)"
        )
    rule = app_settings().subject
    is_computed = "." in rule
    value = _called("SUBJECT", rule, user) if is_computed else getattr(user, rule)
    if value is None or value == "":
        raise IssuanceUnavailable(f"user {user.pk} has no identifier by AT_JWT['SUBJECT'], which is {rule!r}")
    # A field may have values of a class of its own. What else a function gives has seldom the same text twice.
    if is_computed and (isinstance(value, bool) or not isinstance(value, (str, int, uuid.UUID))):
        problem = f"a {type(value).__name__} in place of a str, int or UUID"
    elif not is_subject(str(value)):
        problem = "what is not printable or longer than 255 characters (OpenID Connect Core section 2)"
    else:
        return str(value)
    raise IssuanceUnavailable(f"AT_JWT['SUBJECT'], which is {rule!r}, gives user {user.pk} {problem}")


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
        raise IssuanceUnavailable(f"{error}; name its sector in AT_JWT['SECTOR_IDENTIFIERS']") from None


def user_of_computed_subject(claims: AccessTokenClaims, token: str) -> Any:
    """Find the user of a verified token whose ``sub`` was computed, or give ``None``.

    Where no callable knows the way back, the token's row does. A token that was revoked or replaced by a refresh has
    none. It does *not* tell whether the account is active.

    Raises:
        ImproperlyConfigured: the callable gives a user of another model than tokens are about.
    """
    settings = app_settings()
    if settings.pairwise_subject_key is None and settings.user_by_subject is not None:
        return _user_by_callable(settings.user_by_subject, claims.subject)
    checksum = hashlib.sha256(token.encode()).hexdigest()
    row = get_access_token_model().objects.select_related("user").filter(token_checksum=checksum).first()
    return row.user if row is not None else None


def is_subject_of_somebody(text: str) -> bool:
    """Tell whether a text, such as a client's id, is the ``sub`` of some user (RFC 9068 §5).

    A pairwise ``sub`` is never anything that somebody chose, and a callable without a counterpart cannot be asked.

    Raises:
        IssuanceUnavailable: the counterpart fails.
        ImproperlyConfigured: the counterpart gives a user of another model than tokens are about.
    """
    settings = app_settings()
    if settings.pairwise_subject_key is not None:
        return False
    if "." not in settings.subject:
        return _user_by_field(settings.subject, text) is not None
    path = settings.user_by_subject
    return path is not None and _user_by_callable(path, text) is not None


def _user_by_callable(path: str, subject: str) -> Any:
    user, meta = _called("USER_BY_SUBJECT", path, subject), token_user_model()._meta
    if user is not None and not isinstance(user, meta.concrete_model or ()):
        raise ImproperlyConfigured(
            f"AT_JWT['USER_BY_SUBJECT'], which is {path!r}, returned an object that is not of {meta.label}, the model "
            "that access tokens are about (AccessToken.user)."
        )
    return user


def refuse_subject_as_client_id(client_id: str) -> None:
    """Validate the id of a client, in each form that makes or changes one.

    Raises:
        ValidationError: some user has this identifier, so that the client would read as the user.
    """
    if is_subject_of_somebody(client_id):
        raise ValidationError(
            _("A user of this site has this identifier in access tokens, so no client may have it (RFC 9068 §5)."),
            code="subject_of_user",
        )


def guard_client_ids() -> None:
    """Let the forms of the application model refuse such ids, the site's own forms among them."""
    # The field's list of validators is no part of what a migration records.
    validators = get_application_model()._meta.get_field("client_id").validators
    if refuse_subject_as_client_id not in validators:
        validators.append(refuse_subject_as_client_id)


def subject_field() -> Field[Any, Any] | None:
    """Return the field of the tokens' user model that ``sub`` is read from, or ``None`` where a callable makes it.

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
    model = token_user_model()
    try:
        field = subject_field()
        value = field.to_python(subject) if field is not None else None
    except (FieldDoesNotExist, ValidationError, ValueError, OverflowError):
        return None
    # The database reads " 1" and "01" as numbers, and some compare without regard to case. One user has one identifier,
    # letter by letter, and most texts that are none cost no query.
    if value is None or str(value) != subject:
        return None
    users = model._base_manager.filter(**{rule: value})
    return next((user for user in users if str(getattr(user, rule)) == subject), None)


def _called(setting: str, path: str, argument: Any) -> Any:
    """Call the site's own function; a token must not depend on what it meant to say."""
    try:
        return _callable(path)(argument)
    except Exception as error:  # noqa: BLE001 - it is the site's own code
        # Its text may hold anything, such as the user's data; where it was raised holds nothing.
        *_, last = traceback.extract_tb(error.__traceback__)
        where = f"in {last.name}, line {last.lineno}"
        raise IssuanceUnavailable(
            f"AT_JWT[{setting!r}], which is {path!r}, raised {type(error).__name__} {where}"
        ) from None


@lru_cache(maxsize=8)
def _callable(path: str) -> Callable[[Any], Any]:
    found: Callable[[Any], Any] = import_string(path)
    return found
