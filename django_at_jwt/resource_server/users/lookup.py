"""Lookup of a subject's user: by the local issuer's rule, by a unique field or in the table of subjects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist, ValidationError
from django.utils.module_loading import import_string

from django_at_jwt.conf import app_settings, token_user_model
from django_at_jwt.core.subjects import UserMode, subject_digest

if TYPE_CHECKING:
    from django_at_jwt.core.profile import AccessTokenClaims

# What a lookup by an impossible value raises, depending on the field.
_NO_SUCH_VALUE: Final = (ObjectDoesNotExist, ValueError, TypeError, OverflowError, ValidationError)


@dataclass(frozen=True, kw_only=True, slots=True)
class UserOptions:
    """How the subjects of an issuer are mapped to users.

    Args:
        mode: see :class:`~django_at_jwt.core.subjects.UserMode`.
        lookup: dotted path of a function of the claims and the token that returns a user or ``None``; used instead of
            ``field`` and the table of subjects.
        field: a unique field of the user model that holds the subject; by default, the table of subjects is used.
        fill: dotted path of a function of an unsaved user and the claims, called when a user is created.
    """

    mode: UserMode
    lookup: str | None = None
    field: str | None = None
    fill: str | None = None


def user_for_local_subject(claims: AccessTokenClaims, token: str) -> Any | None:
    """Return the user of a token of the local issuer, found by ``AT_JWT["SUBJECT"]``, or ``None``.

    Raises:
        ImproperlyConfigured: tokens are not about ``AUTH_USER_MODEL``, see :func:`wrong_user_model`.
    """
    settings = app_settings()
    if _is_computed():
        # Only the authorization server can map a computed subject to its user. Imported by its path: see verification.
        return import_string("django_at_jwt.authorization_server.subject.user_of_computed_subject")(claims, token)
    if (problem := wrong_user_model()) is not None:
        raise ImproperlyConfigured(" ".join(problem))
    return user_by_field(settings.subject, claims.subject)


def _is_computed() -> bool:
    settings = app_settings()
    return "." in settings.subject or settings.pairwise_subject_key is not None


def wrong_user_model() -> tuple[str, str] | None:
    """Return why :func:`user_for_local_subject` cannot look up subjects, and a hint; ``None`` if it can.

    Rows of two models can have the same primary key, so a lookup in the wrong model could find another account.
    """
    tokens_are_about, users = token_user_model()._meta, get_user_model()._meta
    if tokens_are_about.concrete_model is users.concrete_model or _is_computed():
        return None
    problem = (
        f"Access tokens are about {tokens_are_about.label} (AccessToken.user), and AUTH_USER_MODEL is {users.label}: "
        "looking up a subject there could find another account."
    )
    hint = (
        'Set AT_JWT["LOCAL_SUBJECT_LOOKUP"] to the dotted path of a function that takes the claims and the token, '
        f'and returns the {tokens_are_about.label} or None; or set AT_JWT["USER_MODE"] to "stateless".'
    )
    return problem, hint


def user_by_field(field: str, subject: str, *, using: str | None = None) -> Any | None:
    """Return the user whose unique field holds a subject, or ``None``."""
    try:
        user = get_user_model()._default_manager.using(using).get(**{field: subject})
    except _NO_SUCH_VALUE:
        return None
    # Databases read " 1", "01" and "1_0" as numbers and may ignore case. A user has exactly one identifier.
    return user if str(getattr(user, field)) == subject else None


def user_by_table(issuer: str, subject: str, *, using: str | None = None) -> Any | None:
    """Return the user that the table of subjects names, or ``None``.

    Raises:
        ImproperlyConfigured: the app is not installed, so the table does not exist.
    """
    subject_model()
    users = get_user_model()._default_manager.using(using)
    return users.filter(issuer_subjects__digest=subject_digest(issuer, subject)).first()


def subject_model() -> Any:
    """Return the model of the table of subjects.

    Raises:
        ImproperlyConfigured: the app is not installed.
    """
    # By name, since an API without this app in INSTALLED_APPS may not import its models.
    try:
        return apps.get_model("django_at_jwt", "IssuerSubject")
    except LookupError:
        raise ImproperlyConfigured(
            'The table of subjects does not exist: add "django_at_jwt" to INSTALLED_APPS and run manage.py migrate.'
        ) from None


def stored_user(claims: AccessTokenClaims, options: UserOptions, *, using: str | None = None) -> Any | None:
    """Return the user that the field of the options or the table of subjects names, or ``None``."""
    if options.field is not None:
        return user_by_field(options.field, claims.subject, using=using)
    return user_by_table(claims.issuer, claims.subject, using=using)
