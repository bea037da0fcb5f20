"""The packages that are run, and how each one is configured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence


# Each has its own API in the issuer. The first one is used to measure how soon a consumer takes a new key.
ALGORITHMS: Final = ("RS256", "ES256", "EdDSA", "Ed25519")
# The SciTokens libraries take scopes of this form only.
SCOPE: Final = "storage.read:/"
# The defect of a token that packages accept which verify any JWT.
ANY_TYP: Final = "with another typ"


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """A package that verifies access tokens.

    Attributes:
        program: the function in ``python_programs.py``, or in ``node_programs.mjs`` for npm.
        packages: the packages to install, the one in question first.
        setup: how it is configured, in Markdown.
        option: the option that names the algorithms, if there is one.
        must_name: whether it accepts nothing unless the algorithms are named.
        fetches: whether it fetches the keys itself, so that it decides when it sees a new one.
    """

    program: str
    packages: Sequence[str]
    setup: str
    registry: str = "PyPI"
    option: str | None = None
    must_name: bool = False
    fetches: bool = True

    @property
    def package(self) -> str:
        return self.packages[0].partition("[")[0]


_ALGORITHMS: Final = "`algorithms`"
_NPM: Final = {"registry": "npm"}
_DEBIAN: Final = {"registry": "Debian"}
_DRF: Final = ("django", "djangorestframework")

CONSUMERS: Final = (
    Consumer(
        program="pyjwt", packages=["pyjwt[crypto]"], setup="`PyJWKClient`, `decode`", option=_ALGORITHMS, must_name=True
    ),
    Consumer(
        program="joserfc", packages=["joserfc"], setup="`KeySet`, `jwt.decode`", option=_ALGORITHMS, fetches=False
    ),
    Consumer(program="authlib", packages=["authlib"], setup="`rfc9068.JWTBearerTokenValidator`", fetches=False),
    Consumer(
        program="python_jose",
        packages=["python-jose[cryptography]"],
        setup="`jwt.decode` with the key that has the `kid`, since it refuses JWK sets with keys of other algorithms",
        option=_ALGORITHMS,
        must_name=True,
        fetches=False,
    ),
    Consumer(program="jwcrypto", packages=["jwcrypto"], setup="`jwt.JWT`", option="`algs`", fetches=False),
    Consumer(
        program="oxyjwt", packages=["oxyjwt"], setup="`PyJWKClient`, `decode`", option=_ALGORITHMS, must_name=True
    ),
    Consumer(
        program="simplejwt",
        packages=["djangorestframework-simplejwt", *_DRF],
        setup='`JWK_URL`, `AUDIENCE`, `ISSUER`, `TOKEN_TYPE_CLAIM = None`, `USER_ID_CLAIM = "sub"`',
        option="`ALGORITHM`",
        must_name=True,
    ),
    Consumer(
        program="drf_oidc_auth",
        packages=["drf-oidc-auth", *_DRF],
        setup="`JSONWebTokenAuthentication` with `OIDC_ENDPOINT`, `OIDC_CLAIMS_OPTIONS`",
        option="`JWT_ALGORITHMS`",
    ),
    Consumer(
        program="okta",
        packages=["okta-jwt-verifier"],
        setup="`BaseJWTVerifier`, subclassed to use the issuer's `jwks_uri`",
    ),
    Consumer(program="auth0_api", packages=["auth0-api-python"], setup="`ApiClient`"),
    Consumer(program="fastmcp", packages=["fastmcp"], setup="`JWTVerifier` with `jwks_uri`", option="`algorithm`"),
    Consumer(
        program="rfc9068",
        packages=["rfc9068"],
        setup="`RFC9068AccessTokenValidator` as in its README",
        option=_ALGORITHMS,
        must_name=True,
    ),
    Consumer(
        program="scitokens",
        packages=["scitokens"],
        setup="`Enforcer` with a validator for `client_id`",
    ),
    Consumer(program="jose", packages=["jose"], setup="`createRemoteJWKSet`, `jwtVerify`", option=_ALGORITHMS, **_NPM),
    Consumer(
        program="oauth4webapi",
        packages=["oauth4webapi"],
        setup="`validateJwtAccessToken`",
        option="`signingAlgorithms`",
        **_NPM,
    ),
    Consumer(
        program="express_oauth2_jwt_bearer",
        packages=["express-oauth2-jwt-bearer", "express"],
        setup="`auth` with `issuerBaseURL`",
        option="`jwksUri`, `issuer` and `tokenSigningAlg`",
        **_NPM,
    ),
    Consumer(
        program="express_jwt",
        packages=["express-jwt", "jwks-rsa", "express"],
        setup="`expressJwtSecret` of jwks-rsa",
        option=_ALGORITHMS,
        must_name=True,
        **_NPM,
    ),
    Consumer(
        program="passport_jwt",
        packages=["passport-jwt", "passport", "jwks-rsa", "express"],
        setup="`passportJwtSecret` of jwks-rsa",
        option=_ALGORITHMS,
        **_NPM,
    ),
    Consumer(
        program="jsonwebtoken",
        packages=["jsonwebtoken", "jwks-rsa"],
        setup="`verify` with jwks-rsa",
        option=_ALGORITHMS,
        **_NPM,
    ),
    Consumer(
        program="fast_jwt",
        packages=["fast-jwt", "get-jwks"],
        setup="`createVerifier` with get-jwks",
        option=_ALGORITHMS,
        **_NPM,
    ),
    Consumer(
        program="fastify_jwt_jwks", packages=["fastify-jwt-jwks", "fastify"], setup="`jwksUrl`, `audience`", **_NPM
    ),
    Consumer(program="aws_jwt_verify", packages=["aws-jwt-verify"], setup="`JwtVerifier` with `jwksUri`", **_NPM),
    Consumer(program="okta", packages=["@okta/jwt-verifier"], setup="`OktaJwtVerifier` with `jwksUri`", **_NPM),
    Consumer(
        program="mod_oauth2",
        packages=["libapache2-mod-oauth2"],
        setup="`OAuth2TokenVerify jwks_uri`, `Require oauth2_claim` for `iss` and `aud`",
        **_DEBIAN,
    ),
    Consumer(
        program="mod_auth_openidc",
        packages=["libapache2-mod-auth-openidc"],
        setup="`AuthType oauth20`, `OIDCOAuthVerifyJwksUri`, `Require claim` for `iss` and `aud`",
        **_DEBIAN,
    ),
    Consumer(
        program="scitokens_cpp",
        packages=["libscitokens0t64"],
        setup="`scitoken_deserialize_v2` and `enforcer_generate_acls` with the profile `AT_JWT`",
        **_DEBIAN,
    ),
)

# Not run, and why.
NOT_RUN: Final = {
    "dovecot-core (Debian)": "its local validation reads keys from files, not from a JWK set",
    "fastapi-auth0 (PyPI)": "fetches the keys from a fixed path below the issuer's host",
}
