"""The users, clients and APIs of the example. Seeding is idempotent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password
from django.urls import reverse
from oauth2_provider.models import get_application_model

from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.models import ResourceServer, SigningKey

from .models import Department, Note, Profile
from .resource_servers import mcp_server, resource_servers

if TYPE_CHECKING:
    from django.db.models import Model

_REDIRECT_URI = f"{settings.BASE_URL}/callback/"
_LOOPBACK = ("127.0.0.1", "localhost")
_DEVICE_CODE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True, kw_only=True)
class ExampleUser:
    """A user whose password is public. ``department`` is a code in ``DEPARTMENTS``."""

    username: str
    password: str
    first_name: str
    last_name: str
    department: str
    is_superuser: bool = False

    @property
    def email(self) -> str:
        return f"{self.username}@example.com"


@dataclass(frozen=True, kw_only=True)
class ExampleClient:
    """A client, which is public if it has no secret. ``scopes`` are those that it uses, not a limit."""

    client_id: str
    name: str
    grant: str
    scopes: tuple[str, ...]
    client_secret: str | None = None
    redirect_uri: str | None = None


# These secrets are public on purpose: people and programs that try the example need them.
ALICE = ExampleUser(
    username="alice",
    password="alice-example-password",  # noqa: S106
    first_name="Alice",
    last_name="Archer",
    department="R+D",
)
ADMIN = ExampleUser(
    username="admin",
    password="admin-example-password",  # noqa: S106
    first_name="Ada",
    last_name="Miller",
    department="IT",
    is_superuser=True,
)
USERS = (ALICE, ADMIN)
DEPARTMENTS = {"IT": "Information technology", "R+D": "Research and development"}

_USER_SCOPES = ("openid", "api:read", "api:write", "reports:read")
WEB = ExampleClient(
    client_id="example-web",
    name="Example web application",
    grant="authorization-code",
    client_secret="example-web-secret",  # noqa: S106
    redirect_uri=_REDIRECT_URI,
    scopes=_USER_SCOPES,
)
SPA = ExampleClient(
    client_id="example-spa",
    name="Example browser application",
    grant="authorization-code",
    redirect_uri=_REDIRECT_URI,
    scopes=(*_USER_SCOPES, "notes:read", "notes:write"),
)
SERVICE = ExampleClient(
    client_id="example-service",
    name="Example service",
    grant="client-credentials",
    client_secret="example-service-secret",  # noqa: S106
    scopes=("api:read", "reports:read", "notes:read"),
)
DEVICE = ExampleClient(
    client_id="example-device",
    name="Example television",
    grant=_DEVICE_CODE_GRANT,
    scopes=("api:read", "api:write", "reports:read"),
)
CLIENTS = {"web": WEB, "spa": SPA, "service": SERVICE, "device": DEVICE}
NOTES = ("Water the plants", "Rotate the keys")


def seed() -> None:
    """Create what is missing, and reset what has changed, except data that the admin site may edit."""
    for code, name in DEPARTMENTS.items():
        Department.objects.get_or_create(code=code, defaults={"name": name})
    alice, _admin = (_ensure_user(user) for user in USERS)
    for client in CLIENTS.values():
        _ensure_client(client)
    _remove_apis_of_other_ports()
    for api in (*resource_servers(), mcp_server()):
        # Changes made in the admin are kept.
        ResourceServer.objects.get_or_create(
            identifier=api.identifier,
            defaults={
                "name": api.name,
                "description": api.description,
                "scopes": api.scopes,
                # A new API is closed until its clients are chosen.
                "introspection_clients": [SERVICE.client_id],
                "open_to_registered_clients": api == mcp_server(),
                "clients": [client.client_id for client in CLIENTS.values() if {*client.scopes} & {*api.scopes}],
            },
        )
    for text in NOTES:
        if not Note.objects.filter(owner=alice, text=text).exists():
            Note.objects.create(owner=alice, text=text)
    if not SigningKey.objects.exists():
        rotate_signing_keys()


def _remove_apis_of_other_ports() -> None:
    """Remove the example's APIs from runs on other ports, where no server answers any more."""
    apis = (*resource_servers(), mcp_server())
    here = {urlsplit(api.identifier)._replace(netloc=""): (api.name, api.identifier) for api in apis}
    for row in ResourceServer.objects.all():
        address = urlsplit(row.identifier)
        name, identifier = here.get(address._replace(netloc=""), ("", row.identifier))
        if row.name == name and row.identifier != identifier and address.hostname in _LOOPBACK:
            row.delete()


def _ensure_user(user: ExampleUser) -> Any:
    # Changes to these fields made in the admin are kept.
    about = {"first_name": user.first_name, "last_name": user.last_name, "email": user.email}
    row, _created = get_user_model().objects.get_or_create(username=user.username, defaults=about)
    if not Profile.objects.filter(user=row).exists():
        Profile.objects.create(user=row, department=Department.objects.get(code=user.department))
    if not row.check_password(user.password):
        row.set_password(user.password)
        row.save(update_fields=["password"])
    _update(row, is_active=True, is_staff=user.is_superuser, is_superuser=user.is_superuser)
    return row


def _ensure_client(client: ExampleClient) -> None:
    model = get_application_model()
    blank = model(client_id=client.client_id, client_secret="")
    row = model.objects.filter(client_id=client.client_id).first() or blank
    secret = client.client_secret or ""
    # A secret is hashed when it is saved, so it can only be compared with check_password().
    unchanged = check_password(secret, row.client_secret) if secret else not row.client_secret
    _update(
        row,
        name=client.name,
        client_type=model.CLIENT_CONFIDENTIAL if secret else model.CLIENT_PUBLIC,
        authorization_grant_type=client.grant,
        redirect_uris=client.redirect_uri or "",
        # Clients that request "openid" get an ID token, which needs an algorithm.
        algorithm=model.RS256_ALGORITHM if "openid" in client.scopes else model.NO_ALGORITHM,
        hash_client_secret=bool(secret),
        **({} if unchanged else {"client_secret": secret}),
    )


def _update(row: Model, **values: Any) -> None:
    if row.pk is None or any(getattr(row, name) != value for name, value in values.items()):
        for name, value in values.items():
            setattr(row, name, value)
        row.save()


def endpoints() -> dict[str, str]:
    """Return the issuer and the endpoint URLs of the authorization server."""

    def absolute(name: str) -> str:
        return settings.BASE_URL + reverse(f"oauth2_provider:{name}")

    return {
        "issuer": settings.OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"],
        "token_endpoint": absolute("token"),
        "authorization_endpoint": absolute("authorize"),
        "jwks_uri": absolute("jwks-info"),
        "introspection_endpoint": absolute("introspect"),
        "revocation_endpoint": absolute("revoke-token"),
    }


def as_document() -> dict[str, Any]:
    """Return everything that another program needs to use the example."""
    return {
        **endpoints(),
        "resource_servers": [
            {"identifier": each.identifier, "url": each.url, "scopes": list(each.scopes)} for each in resource_servers()
        ],
        "mcp_server": {"url": mcp_server().url, "scopes": list(mcp_server().scopes)},
        "users": [
            {"username": user.username, "password": user.password, "is_superuser": user.is_superuser} for user in USERS
        ],
        "clients": {
            name: {
                "client_id": client.client_id,
                "client_secret": client.client_secret,
                "redirect_uri": client.redirect_uri,
                "scopes": list(client.scopes),
            }
            for name, client in CLIENTS.items()
        },
    }
