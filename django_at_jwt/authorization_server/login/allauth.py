"""What django-allauth has written into a session about a login, as steps. It is imported only where it is installed."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.conf import settings

from django_at_jwt.core.authentication import MULTIPLE_FACTORS, PASSWORD, AuthenticationStep, Factor

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

# django-allauth's own default for ACCOUNT_LOGIN_TIMEOUT, in seconds.
_LOGIN_TIMEOUT: Final = 900


def is_installed() -> bool:
    """Tell whether users of this site can log in with django-allauth."""
    return apps.is_installed("allauth.account")


def names_the_user() -> bool:
    """Tell whether the installed django-allauth keeps the records of different users apart, as it does from 65.21 on.

    Before, whoever began to log in as one user and went on as another took the first one's password step along.
    """
    try:
        from allauth.account.authentication import get_authentication_records  # noqa: PLC0415 - see above
    except ImportError:
        return False
    return "user" in inspect.signature(get_authentication_records).parameters


def connect(receiver: Callable[..., None], *, uid: str) -> None:
    """Call ``receiver(request=..., user=...)`` after each step that django-allauth records; a login is not yet one."""
    if is_installed() and names_the_user():
        from allauth.account.signals import authentication_step_completed  # noqa: PLC0415 - see above

        authentication_step_completed.connect(receiver, dispatch_uid=uid)


def steps_of(request: HttpRequest, user: AbstractBaseUser) -> list[AuthenticationStep]:
    """Give what django-allauth has recorded of this user in this session; nothing where it is not installed."""
    if not is_installed() or not names_the_user():
        return []
    from allauth.account.authentication import get_authentication_records  # noqa: PLC0415 - see above

    steps = [step_of(record) for record in get_authentication_records(request, user)]
    return [step for step in steps if step is not None]


def login_timeout() -> float:
    """Give the seconds that django-allauth lets pass between the steps of one login."""
    timeout: float = getattr(settings, "ACCOUNT_LOGIN_TIMEOUT", _LOGIN_TIMEOUT)
    return timeout


def step_of(record: object) -> AuthenticationStep | None:
    """Read one record, or give ``None`` for what is none."""
    if not isinstance(record, dict) or type(record.get("at")) not in (int, float):
        return None
    methods, factors = _proved_by(record)
    return AuthenticationStep(at=record["at"], methods=methods, factors=frozenset(factors))


def _proved_by(record: dict[str, Any]) -> tuple[tuple[str, ...], tuple[Factor, ...]]:
    """Give the methods of one record, and the factors that RFC 8176 has no name for.

    Nothing is claimed of an account at another provider, which does not say how it knows the user; of a code or a new
    password by e-mail, which shows that somebody reads the mail; and of what is not known here. The user did log in.
    """
    match record.get("method"), record.get("type"):
        case "password", _:
            return (PASSWORD,), ()
        case "code", _ if record.get("phone"):
            return ("sms",), ()
        case "mfa", "totp":
            return ("otp",), ()
        case "mfa", "recovery_codes":
            return (), (Factor.POSSESSION,)
        case "mfa", "webauthn":
            # No attestation is asked for, so nobody knows whether hardware guards the key. Only a login without a
            # password makes the authenticator verify its user as well, by a PIN or by a biometric.
            return ("pop", "user", *((MULTIPLE_FACTORS,) if record.get("passwordless") is True else ())), ()
        case _:
            return (), ()
