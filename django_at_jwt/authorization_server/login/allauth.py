"""Read django-allauth's login records from a session. It is imported only if installed."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.conf import settings

from django_at_jwt.core.login import MULTIPLE_FACTORS, PASSWORD, AuthenticationStep, Factor

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

# django-allauth's own default for ACCOUNT_LOGIN_TIMEOUT, in seconds.
_LOGIN_TIMEOUT: Final = 900


def is_installed() -> bool:
    """Return whether django-allauth is installed."""
    return apps.is_installed("allauth.account")


def names_the_user() -> bool:
    """Return whether django-allauth keeps the records of different users apart, as it does since 65.21.

    In earlier versions, a login begun as one user and finished as another keeps the first user's password step.
    """
    try:
        from allauth.account.authentication import get_authentication_records  # noqa: PLC0415 - see above
    except ImportError:
        return False
    return "user" in inspect.signature(get_authentication_records).parameters


def connect(receiver: Callable[..., None], *, uid: str) -> None:
    """Call ``receiver(request=..., user=...)`` after each step that django-allauth records (not after a login)."""
    if is_installed() and names_the_user():
        from allauth.account.signals import authentication_step_completed  # noqa: PLC0415 - see above

        authentication_step_completed.connect(receiver, dispatch_uid=uid)


def steps_of(request: HttpRequest, user: AbstractBaseUser) -> list[AuthenticationStep]:
    """Return the steps that django-allauth recorded for this user in this session, or none if it is not installed."""
    if not is_installed() or not names_the_user():
        return []
    from allauth.account.authentication import get_authentication_records  # noqa: PLC0415 - see above

    steps = [step_of(record) for record in get_authentication_records(request, user)]
    return [step for step in steps if step is not None]


def login_timeout() -> float:
    """Return the seconds that django-allauth allows between the steps of one login."""
    timeout: float = getattr(settings, "ACCOUNT_LOGIN_TIMEOUT", _LOGIN_TIMEOUT)
    return timeout


def step_of(record: object) -> AuthenticationStep | None:
    """Return the step of one record, or ``None`` if the record is malformed."""
    if not isinstance(record, dict) or type(record.get("at")) not in (int, float):
        return None
    methods, factors = _proved_by(record)
    return AuthenticationStep(at=record["at"], methods=methods, factors=frozenset(factors))


def _proved_by(record: dict[str, Any]) -> tuple[tuple[str, ...], tuple[Factor, ...]]:
    """Return the methods of one record, and the factors that RFC 8176 has no name for.

    No method is claimed for a social account, whose provider does not say how it authenticated the user; for a code or
    a password reset by e-mail, which only proves access to the mailbox; or for an unknown method.
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
            # Without attestation, it is unknown whether the key is in hardware. The authenticator verifies its user
            # (by PIN or biometric) only in a login without a password.
            return ("pop", "user", *((MULTIPLE_FACTORS,) if record.get("passwordless") is True else ())), ()
        case _:
            return (), ()
