"""The RFC 9700 profile on an existing site: what is off, and which clients depend on that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Count
from django.utils import timezone
from oauth2_provider.models import (
    AbstractApplication,
    get_application_model,
    get_grant_model,
    get_refresh_token_model,
)
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.conf import RFC9700_PROFILE
from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

# Longer, a stolen refresh token can be used for too long after the client has replaced it.
LONGEST_GRACE_PERIOD: Final = 60
_ONLY_REPORTED: Final = (
    "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED",
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN",
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING",
)
_CODE_GRANTS: Final = (AbstractApplication.GRANT_AUTHORIZATION_CODE, AbstractApplication.GRANT_OPENID_HYBRID)


class Effect(StrEnum):
    """Whether turning a setting on certainly breaks a client, or only if it does what the database does not show."""

    BREAKS = "breaks"
    MAY_BREAK = "may break"


@dataclass(frozen=True, kw_only=True)
class AffectedClient:
    """A client that depends on a setting being off."""

    client_id: str
    name: str
    setting: str
    effect: Effect
    reason: str


def settings_off() -> tuple[str, ...]:
    """Return the names of the profile's settings that are off here.

    Not included: settings that only decide whether DOT's ``check --deploy`` reports a warning or an error.
    """
    return tuple(name for name in RFC9700_PROFILE if name not in _ONLY_REPORTED and not _is_on(name))


def _is_on(name: str) -> bool:
    value = getattr(oauth2_settings, name)
    if name == "REFRESH_TOKEN_GRACE_PERIOD_SECONDS":
        return isinstance(value, (int, float)) and 0 < value <= LONGEST_GRACE_PERIOD
    # PKCE_REQUIRED may be a callable, which decides for each client.
    return bool(value)


def affected_clients() -> tuple[AffectedClient, ...]:
    """Return the clients that turning on what is off breaks or may break, by client id.

    Not detected: clients that send access tokens in a query, or that reject unknown response parameters such as
    ``iss``, which they must ignore (RFC 6749 section 4.1.2).

    Raises:
        django.db.Error: the clients or tokens cannot be read.
    """
    clients = list(primary_rows(get_application_model()).order_by("client_id"))
    found = [each for name in settings_off() if name in _FINDERS for each in _FINDERS[name](name, clients)]
    return tuple(sorted(found, key=lambda each: (each.client_id, each.setting)))


def public_clients_with_credentials() -> tuple[str, ...]:
    """Return the ids of public clients that are registered for client credentials, and get no token.

    Raises:
        django.db.Error: the clients cannot be read.
    """
    rows = primary_rows(get_application_model()).filter(
        client_type=AbstractApplication.CLIENT_PUBLIC,
        authorization_grant_type=AbstractApplication.GRANT_CLIENT_CREDENTIALS,
    )
    return tuple(rows.order_by("client_id").values_list("client_id", flat=True))


def _affected(client: Any, setting: str, effect: Effect, reason: str) -> AffectedClient:
    return AffectedClient(client_id=client.client_id, name=client.name, setting=setting, effect=effect, reason=reason)


def _of_implicit_grant(setting: str, clients: Sequence[Any]) -> Iterator[AffectedClient]:
    for client in clients:
        if client.authorization_grant_type == client.GRANT_IMPLICIT:
            reason = "it uses the implicit grant; use the authorization code grant with PKCE"
            yield _affected(client, setting, Effect.BREAKS, reason)
        elif client.authorization_grant_type == client.GRANT_OPENID_HYBRID:
            reason = 'it may request "code token" or "code id_token token"; use "code" or "code id_token"'
            yield _affected(client, setting, Effect.MAY_BREAK, reason)


def _of_password_grant(setting: str, clients: Sequence[Any]) -> Iterator[AffectedClient]:
    for client in clients:
        if client.authorization_grant_type == client.GRANT_PASSWORD:
            reason = "it uses the password grant; use the authorization code grant with PKCE"
            yield _affected(client, setting, Effect.BREAKS, reason)


def _of_pkce(setting: str, clients: Sequence[Any]) -> Iterator[AffectedClient]:
    without = _clients_of_codes(code_challenge="")
    for client in clients:
        if client.pk in without:
            yield _affected(client, setting, Effect.BREAKS, "one of its codes has no code_challenge; it must use PKCE")
        elif client.authorization_grant_type in _CODE_GRANTS:
            yield _affected(client, setting, Effect.MAY_BREAK, "it must send a code_challenge")


def _of_plain_pkce(setting: str, clients: Sequence[Any]) -> Iterator[AffectedClient]:
    plain = _clients_of_codes(code_challenge_method="plain")
    for client in clients:
        if client.pk in plain:
            yield _affected(client, setting, Effect.BREAKS, "one of its codes has a plain challenge; it must use S256")


def _clients_of_codes(**fields: str) -> frozenset[Any]:
    """Return the keys of clients with such a code: one that was not exchanged and not cleared yet."""
    return frozenset(primary_rows(get_grant_model()).filter(**fields).values_list("application_id", flat=True))


def _of_rotation(setting: str, clients: Sequence[Any]) -> Iterator[AffectedClient]:
    reason = "it must store the new refresh token of each response (%d live)"
    return _with_refresh_tokens(setting, clients, Effect.MAY_BREAK, reason)


def _of_reuse_protection(setting: str, clients: Sequence[Any]) -> Iterator[AffectedClient]:
    reason = "a refresh token that it sends twice ends the authorization (%d live)"
    return _with_refresh_tokens(setting, clients, Effect.MAY_BREAK, reason)


def _of_expiry(setting: str, clients: Sequence[Any]) -> Iterator[AffectedClient]:
    # DOT counts from the expiry of the access token that was issued with the refresh token.
    before = timezone.now() - timedelta(seconds=RFC9700_PROFILE[setting])
    reason = "%d of its refresh tokens expire at once; their users have to log in again"
    return _with_refresh_tokens(setting, clients, Effect.BREAKS, reason, access_token__expires__lt=before)


def _with_refresh_tokens(
    setting: str, clients: Sequence[Any], effect: Effect, reason: str, **fields: Any
) -> Iterator[AffectedClient]:
    """Yield the clients with refresh tokens that are not revoked; ``reason`` has a place for their number."""
    rows = primary_rows(get_refresh_token_model()).filter(revoked__isnull=True, **fields)
    numbers = dict(rows.order_by().values_list("application_id").annotate(number=Count("pk")))
    for client in clients:
        if number := numbers.get(client.pk):
            yield _affected(client, setting, effect, reason % number)


_FINDERS: Final[Mapping[str, Callable[[str, Sequence[Any]], Iterator[AffectedClient]]]] = {
    "PKCE_REQUIRED": _of_pkce,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": _of_plain_pkce,
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": _of_implicit_grant,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": _of_password_grant,
    "ROTATE_REFRESH_TOKEN": _of_rotation,
    "REFRESH_TOKEN_REUSE_PROTECTION": _of_reuse_protection,
    "REFRESH_TOKEN_EXPIRE_SECONDS": _of_expiry,
}
