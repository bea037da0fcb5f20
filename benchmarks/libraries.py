"""The compared libraries: how each signs and verifies an access token, used as its documentation says.

Keys are imported once, which is not timed. Each library verifies the signature and all claims that it can check. Only
this package checks the rules of RFC 9068 for the header and for the type of each claim.
"""

from __future__ import annotations

import json
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import joserfc.jwk
import joserfc.jwt
import jwt
import oxyjwt
from jwcrypto.jwk import JWK, JWKSet
from jwcrypto.jwt import JWT

from django_at_jwt.core.jose.jws import sign_compact
from django_at_jwt.core.jose.keyring import KeyRing
from django_at_jwt.core.jose.keys import PrivateKey, PublicKey
from django_at_jwt.core.profile import REQUIRED_CLAIMS, encode_json, header_segment
from django_at_jwt.core.verifier import Expectations, verify_access_token

from .workload import AUDIENCE, ISSUER

with warnings.catch_warnings(record=True):
    # On import, Authlib warns that its JOSE part moves to joserfc, with a filter that always shows the warning.
    from authlib.jose import JsonWebKey, JsonWebToken

if TYPE_CHECKING:
    from collections.abc import Callable

    Jwk = dict[str, Any]
    Claims = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Library:
    """A library, what it checks in addition to the signature, and how it signs and verifies.

    ``signer(private JWK, algorithm)`` imports the key and returns a function that signs claims. ``verifier(public JWK,
    algorithm)`` returns a function that verifies a token or raises an exception. Given a list of JWKs, it uses them as
    a JWK set in which the token's ``kid`` selects the key.
    """

    name: str
    checks: str
    signer: Callable[[Jwk, str], Callable[[Claims], object]]
    verifier: Callable[[Jwk | list[Jwk], str], Callable[[str], object]]


def _our_signer(private: Jwk, algorithm: str) -> Callable[[Claims], object]:
    key = PrivateKey.from_jwk(JWK(**private), algorithm=algorithm, kid=private["kid"])
    return lambda claims: sign_compact(key, header_segment(key), encode_json(claims))


def _our_verifier(public: Jwk | list[Jwk], algorithm: str) -> Callable[[str], object]:
    jwks = public if isinstance(public, list) else [public]
    ring = KeyRing.of(PublicKey.from_jwk(jwk, algorithm=algorithm) for jwk in jwks)
    expected = Expectations(issuer=ISSUER, audiences=frozenset({AUDIENCE}))
    return lambda token: verify_access_token(token, key_ring=ring, expected=expected, now=time.time())


def _jwcrypto_signer(private: Jwk, algorithm: str) -> Callable[[Claims], object]:
    key, header = JWK(**private), _header(private, algorithm)

    def sign(claims: Claims) -> str:
        token = JWT(header=header, claims=claims, algs=[algorithm])
        token.make_signed_token(key)
        return token.serialize()

    return sign


def _jwcrypto_verifier(public: Jwk | list[Jwk], algorithm: str) -> Callable[[str], object]:
    keys: Any = JWKSet.from_json(json.dumps({"keys": public})) if isinstance(public, list) else JWK(**public)
    wanted = {**dict.fromkeys(REQUIRED_CLAIMS), "iss": ISSUER, "aud": AUDIENCE}
    return lambda token: JWT(jwt=token, key=keys, algs=[algorithm], check_claims=wanted, expected_type="JWS").claims


def _pyjwt_signer(private: Jwk, algorithm: str) -> Callable[[Claims], object]:
    key, headers = jwt.PyJWK(private, algorithm), {"typ": "at+jwt", "kid": private["kid"]}
    return lambda claims: jwt.encode(claims, key, algorithm=algorithm, headers=headers)


def _pyjwt_verifier(public: Jwk | list[Jwk], algorithm: str) -> Callable[[str], object]:
    options: Any = {"require": list(REQUIRED_CLAIMS)}

    def verify(token: str, key: jwt.PyJWK) -> object:
        return jwt.decode(token, key, algorithms=[algorithm], audience=AUDIENCE, issuer=ISSUER, options=options)

    if not isinstance(public, list):
        only = jwt.PyJWK(public, algorithm)
        return lambda token: verify(token, only)
    client = _LocalKeys("https://as.example.com/o/.well-known/jwks.json")
    client.document = {"keys": public}
    return lambda token: verify(token, client.get_signing_key_from_jwt(token))


class _LocalKeys(jwt.PyJWKClient):
    """PyJWT's client of a JWK set, with a local document instead of a server."""

    document: dict[str, Any]

    def fetch_data(self) -> Any:
        return self.document


def _joserfc_signer(private: Jwk, algorithm: str) -> Callable[[Claims], object]:
    key, header = joserfc.jwk.import_key(private), _header(private, algorithm)
    return lambda claims: joserfc.jwt.encode(header, claims, key, algorithms=[algorithm])


def _joserfc_verifier(public: Jwk | list[Jwk], algorithm: str) -> Callable[[str], object]:
    single = not isinstance(public, list)
    keys = joserfc.jwk.import_key(public) if single else joserfc.jwk.KeySet.import_key_set({"keys": public})
    registry = joserfc.jwt.JWTClaimsRegistry(**_claims_options())

    def verify(token: str) -> object:
        read = joserfc.jwt.decode(token, keys, algorithms=[algorithm])
        registry.validate(read.claims)
        return read.claims

    return verify


def _authlib_signer(private: Jwk, algorithm: str) -> Callable[[Claims], object]:
    library, key, header = JsonWebToken([algorithm]), JsonWebKey.import_key(private), _header(private, algorithm)
    return lambda claims: library.encode(header, claims, key)


def _authlib_verifier(public: Jwk | list[Jwk], algorithm: str) -> Callable[[str], object]:
    library, options = JsonWebToken([algorithm]), _claims_options()
    single = not isinstance(public, list)
    keys = JsonWebKey.import_key(public) if single else JsonWebKey.import_key_set({"keys": public})

    def verify(token: str) -> object:
        claims = library.decode(token, keys, claims_options=options)
        claims.validate()
        return claims

    return verify


_OXYJWT_PEM_READERS: Final = {
    "RSA": oxyjwt.EncodingKey.from_rsa_pem,
    "EC": oxyjwt.EncodingKey.from_ec_pem,
    "OKP": oxyjwt.EncodingKey.from_ed_pem,
}


def _oxyjwt_signer(private: Jwk, algorithm: str) -> Callable[[Claims], object]:
    pem = JWK(**private).export_to_pem(private_key=True, password=None)
    key, headers = _OXYJWT_PEM_READERS[private["kty"]](pem), {"typ": "at+jwt", "kid": private["kid"]}
    return lambda claims: oxyjwt.encode(claims, key, algorithm=algorithm, headers=headers)


def _oxyjwt_verifier(public: Jwk | list[Jwk], algorithm: str) -> Callable[[str], object]:
    options: Any = {"require": list(REQUIRED_CLAIMS)}

    def verify(token: str, key: object) -> object:
        return oxyjwt.decode(
            token, key, algorithms=[algorithm], audience=AUDIENCE, issuer=ISSUER, options=options, typ="at+jwt"
        )

    if not isinstance(public, list):
        only = oxyjwt.PyJWK(public, algorithm).key
        return lambda token: verify(token, only)
    keys = {each["kid"]: oxyjwt.PyJWK(each, algorithm).key for each in public}
    return lambda token: verify(token, keys[oxyjwt.get_unverified_header(token)["kid"]])


def _header(jwk: Jwk, algorithm: str) -> dict[str, str]:
    return {"typ": "at+jwt", "alg": algorithm, "kid": jwk["kid"]}


def _claims_options() -> dict[str, Any]:
    required = {claim: {"essential": True} for claim in REQUIRED_CLAIMS}
    return {**required, "iss": {"essential": True, "value": ISSUER}, "aud": {"essential": True, "value": AUDIENCE}}


LIBRARIES: Final = (
    Library(
        name="django-at-jwt",
        checks="all rules of RFC 9068 section 4: typ, kid, alg, claims and their types, iss, aud, times",
        signer=_our_signer,
        verifier=_our_verifier,
    ),
    Library(
        name="jwcrypto JWT",
        checks="alg, required claims, iss, aud, exp",
        signer=_jwcrypto_signer,
        verifier=_jwcrypto_verifier,
    ),
    Library(
        name="PyJWT",
        checks="alg, required claims, iss, aud, exp, nbf, iat; PyJWKClient searches a set",
        signer=_pyjwt_signer,
        verifier=_pyjwt_verifier,
    ),
    Library(
        name="joserfc",
        checks="alg, required claims, iss, aud, exp, nbf, iat",
        signer=_joserfc_signer,
        verifier=_joserfc_verifier,
    ),
    Library(
        name="Authlib",
        checks="alg, required claims, iss, aud, exp, nbf, iat",
        signer=_authlib_signer,
        verifier=_authlib_verifier,
    ),
    Library(
        name="oxyjwt",
        checks="typ, alg, required claims, iss, aud, exp, nbf; written in Rust, with its own cryptography",
        signer=_oxyjwt_signer,
        verifier=_oxyjwt_verifier,
    ),
)
