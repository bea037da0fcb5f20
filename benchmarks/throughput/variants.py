"""The variants. To measure another one, add it to a list; the first is the baseline of its table."""

from __future__ import annotations

from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from django_at_jwt.conf.oauth2_provider import CLIENT_SECRET_HASHER, oauth2_provider_settings

from .servers import Variant

_ISSUER: Final = "https://as.example.com/o"
_API: Final = "https://api.example.com/"
_SCOPES: Final = {"read": "Read", "write": "Write"}
_STOCK: Final = "/stock/token/"
_OURS: Final = "/o/token/"
_API_TOKENS: Final = 50


def _stock(**toolkit: Any) -> dict[str, Any]:
    """Return the settings of a site without this package's."""
    return {"OAUTH2_PROVIDER": {"SCOPES": _SCOPES, **toolkit}, "AT_JWT": {"SIGNING_ALGORITHMS": ["ES256"]}}


def _ours(algorithm: str, *, stores: bool = True, **toolkit: Any) -> dict[str, Any]:
    """Return the settings of a site with this package's."""
    return {
        "OAUTH2_PROVIDER": {
            **oauth2_provider_settings(),
            "OIDC_ISS_ENDPOINT": _ISSUER,
            "SCOPES": _SCOPES,
            **toolkit,
        },
        "AT_JWT": {"DEFAULT_RESOURCE": _API, "SIGNING_ALGORITHMS": [algorithm], "STORE_ACCESS_TOKENS": stores},
    }


def _simplejwt() -> dict[str, Any]:
    """Return the settings of a site whose tokens simplejwt signs."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {
        **_stock(),
        "SIMPLE_JWT": {"ALGORITHM": "RS256", "SIGNING_KEY": private.decode(), "VERIFYING_KEY": public.decode()},
    }


TOKENS: Final = (
    Variant(name="django-oauth-toolkit, opaque", settings=_stock(), token_path=_STOCK, remarks="its defaults"),
    *(
        Variant(
            name=f"django-at-jwt, {algorithm}{'' if stores else ', without row'}",
            settings=_ours(algorithm, stores=stores),
            token_path=_OURS,
        )
        for stores in (True, False)
        for algorithm in ("RS256", "ES256")
    ),
)
_WITH_SIMPLEJWT: Final = _simplejwt()
APIS: Final = (
    Variant(
        name="django-oauth-toolkit, opaque",
        settings=_stock(),
        token_path=_STOCK,
        api_path="/api/toolkit/",
        tokens=_API_TOKENS,
        remarks="the rows of token, client and user are read",
    ),
    *(
        Variant(
            name=f"django-at-jwt, {algorithm}{name}",
            settings=_ours(algorithm),
            token_path=_OURS,
            api_path="/api/at-jwt/",
            tokens=_API_TOKENS,
            is_of_user=is_of_user,
            remarks=remarks,
        )
        for algorithm in ("RS256", "ES256")
        for name, is_of_user, remarks in (
            (", a client's token", False, "repeated tokens, deny list checked, no query"),
            (", with the user", True, "the user's row is read"),
        )
    ),
    Variant(
        name="simplejwt stateless, RS256",
        settings=_WITH_SIMPLEJWT,
        token_path="/simplejwt/",
        api_path="/api/simplejwt/",
        tokens=_API_TOKENS,
    ),
    Variant(
        name="simplejwt with the user, RS256",
        settings=_WITH_SIMPLEJWT,
        token_path="/simplejwt/",
        api_path="/api/simplejwt-user/",
        tokens=_API_TOKENS,
        remarks="the user's row is read",
    ),
)
HASHED_SECRETS: Final = (
    Variant(
        name="django-oauth-toolkit, opaque",
        settings=_stock(),
        token_path=_STOCK,
        hasher="pbkdf2_sha256",
        remarks="its default hash, PBKDF2",
    ),
    Variant(
        name="django-at-jwt, RS256",
        settings=_ours("RS256", CLIENT_SECRET_HASHER=CLIENT_SECRET_HASHER),
        token_path=_OURS,
        hasher=CLIENT_SECRET_HASHER,
        remarks="its hash for generated secrets",
    ),
    Variant(
        name="django-at-jwt, ES256",
        settings=_ours("ES256", CLIENT_SECRET_HASHER=CLIENT_SECRET_HASHER),
        token_path=_OURS,
        hasher=CLIENT_SECRET_HASHER,
        remarks="its hash for generated secrets",
    ),
)
