"""Consumers in Python: ``python python_programs.py NAME``, with the API and its issuer as JSON in ``CONSUMER_SITE``.

Each function configures a package as its documentation does, and returns a function that raises for a refused token.
Each line of standard input is a token, which is answered by a line: ``accepted``, or ``refused`` and why.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

API = SimpleNamespace(**json.loads(os.environ["CONSUMER_SITE"]))
# Only where a package must be told the algorithm, or refuses it unless it is told.
ALGORITHMS = [API.algorithm] if API.algorithm else None


class Refused(Exception):
    pass


def options(**values):
    """Return the options that have a value."""
    return {name: value for name, value in values.items() if value}


def fetched(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def pyjwt():
    import jwt

    keys = jwt.PyJWKClient(API.jwks_uri)
    return lambda token: jwt.decode(
        token, keys.get_signing_key_from_jwt(token), algorithms=ALGORITHMS, audience=API.audience, issuer=API.issuer
    )


def oxyjwt():
    import oxyjwt

    keys = oxyjwt.PyJWKClient(API.jwks_uri)
    return lambda token: oxyjwt.decode(
        token, keys.get_signing_key_from_jwt(token).key, algorithms=ALGORITHMS, audience=API.audience, issuer=API.issuer
    )


def joserfc():
    from joserfc import jwt
    from joserfc.jwk import KeySet

    keys = KeySet.import_key_set(fetched(API.jwks_uri))
    claims = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": API.issuer}, aud={"essential": True, "value": API.audience}
    )
    return lambda token: claims.validate(jwt.decode(token, keys, **options(algorithms=ALGORITHMS)).claims)


def authlib():
    from authlib.oauth2.rfc9068 import JWTBearerTokenValidator

    keys = fetched(API.jwks_uri)

    class Validator(JWTBearerTokenValidator):
        def get_jwks(self):
            return keys

    validator = Validator(issuer=API.issuer, resource_server=API.audience)
    return lambda token: validator.validate_token(validator.authenticate_token(token), [API.scope], None)


def python_jose():
    from jose import jwt

    keys = {key["kid"]: key for key in fetched(API.jwks_uri)["keys"]}

    def check(token):
        key = keys[jwt.get_unverified_header(token)["kid"]]
        jwt.decode(token, key, algorithms=ALGORITHMS, audience=API.audience, issuer=API.issuer)

    return check


def jwcrypto():
    from jwcrypto.jwk import JWKSet
    from jwcrypto.jwt import JWT

    keys = JWKSet.from_json(json.dumps(fetched(API.jwks_uri)))
    claims = {"iss": API.issuer, "aud": API.audience, "exp": None}
    return lambda token: JWT(jwt=token, key=keys, check_claims=claims, expected_type="JWS", **options(algs=ALGORITHMS))


def _django(authenticate, **settings):
    import django
    from django.conf import settings as of_django

    apps = ["django.contrib.auth", "django.contrib.contenttypes"]
    of_django.configure(INSTALLED_APPS=apps, SECRET_KEY="for this run", **settings)
    django.setup()
    from rest_framework.test import APIRequestFactory

    def check(token):
        request = APIRequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})
        if authenticate()(request) is None:
            raise Refused("no credentials found")

    return check


def simplejwt():
    def authenticate():
        from rest_framework_simplejwt.authentication import JWTStatelessUserAuthentication

        return JWTStatelessUserAuthentication().authenticate

    simple_jwt = {
        "JWK_URL": API.jwks_uri,
        "ALGORITHM": API.algorithm,
        "AUDIENCE": API.audience,
        "ISSUER": API.issuer,
        "TOKEN_TYPE_CLAIM": None,
        "USER_ID_CLAIM": "sub",
    }
    return _django(authenticate, SIMPLE_JWT=simple_jwt)


def drf_oidc_auth():
    def authenticate():
        from oidc_auth.authentication import JSONWebTokenAuthentication

        return JSONWebTokenAuthentication().authenticate

    oidc_auth = {
        "OIDC_ENDPOINT": API.issuer,
        "OIDC_CLAIMS_OPTIONS": {"aud": {"essential": True, "value": API.audience}},
        "OIDC_RESOLVE_USER_FUNCTION": lambda _request, claims: claims["sub"],
        "JWT_AUTH_HEADER_PREFIX": "Bearer",
        **options(JWT_ALGORITHMS=ALGORITHMS),
    }
    return _django(authenticate, OIDC_AUTH=oidc_auth)


def okta():
    from okta_jwt_verifier import BaseJWTVerifier

    class Verifier(BaseJWTVerifier):
        def _construct_jwks_uri(self):
            return API.jwks_uri

    return Verifier(issuer=API.issuer, client_id="unused", audience=API.audience).verify_access_token_sync


def _awaited(function):
    loop = asyncio.new_event_loop()

    def check(token):
        if loop.run_until_complete(function(token)) is None:
            raise Refused("no access token")

    return check


def auth0_api():
    from auth0_api_python import ApiClient, ApiClientOptions

    return _awaited(ApiClient(ApiClientOptions(domain=API.issuer, audience=API.audience)).verify_access_token)


def fastmcp():
    from fastmcp.server.auth.providers.jwt import JWTVerifier

    verifier = JWTVerifier(
        jwks_uri=API.jwks_uri, issuer=API.issuer, audience=API.audience, **options(algorithm=API.algorithm)
    )
    return _awaited(verifier.verify_token)


def rfc9068():
    from jwt import PyJWKClient, PyJWS
    from rfc9068 import RFC9068AccessTokenValidator, parser, payload, signature

    parse = parser.AccessTokenParser(
        parser.Padder(), parser.HeaderParser(), parser.PayloadParser(), parser.SignatureParser()
    )
    keys = signature.PyJwtJWKResolver(PyJWKClient(API.jwks_uri))
    return RFC9068AccessTokenValidator(
        parse,
        signature.PyJwtSignatureValidator(keys, PyJWS()),
        payload.IssuerValidator(),
        payload.AudienceValidator(),
        payload.ExpirationValidator(),
        ALGORITHMS,
        API.issuer,
        API.audience,
    )


def scitokens():
    import scitokens

    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(dir=API.folder)
    enforcer = scitokens.Enforcer(API.issuer, audience=API.audience)
    enforcer.add_validator("client_id", bool)
    authorization, _, path = API.scope.partition(":")

    def check(token):
        if not enforcer.test(scitokens.SciToken.deserialize(token), authorization, path):
            raise Refused(enforcer.last_failure)

    return check


def scitokens_cpp():
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(dir=API.folder)
    library = ctypes.CDLL(f"{API.debian}/usr/lib/x86_64-linux-gnu/libSciTokens.so.0")
    library.enforcer_create.restype = library.scitoken_create.restype = ctypes.c_void_p
    at_jwt = 4

    def call(function, *arguments):
        problem = ctypes.c_char_p()
        result = function(*arguments, ctypes.byref(problem))
        if problem.value:
            raise Refused(problem.value.decode())
        return result

    def texts(*values):
        return (ctypes.c_char_p * (len(values) + 1))(*(value.encode() for value in values), None)

    call(library.scitoken_config_set_str, b"tls.ca_file", API.certificate.encode())
    enforcer = ctypes.c_void_p(call(library.enforcer_create, API.issuer.encode(), texts(API.audience)))
    library.enforcer_set_validate_profile(enforcer, at_jwt)

    def check(token):
        read, rights = ctypes.c_void_p(library.scitoken_create(None)), ctypes.c_void_p()
        library.scitoken_set_deserialize_profile(read, at_jwt)
        call(library.scitoken_deserialize_v2, token.encode(), read, texts(API.issuer))
        call(library.enforcer_generate_acls, enforcer, read, ctypes.byref(rights))

    return check


def _apache(module, file, *directives):
    """Return a check of Apache with one module more, which answers 200 or 401."""
    root, folder = API.debian, Path(tempfile.mkdtemp(dir=API.folder))
    modules = {
        "mpm_event": "mpm_event",
        "authn_core": "authn_core",
        "authz_core": "authz_core",
        "authz_user": "authz_user",
    }
    (folder / "index.html").write_text("in")
    (folder / "apache.conf").write_text(
        "\n".join(
            [
                f"ServerRoot {root}/usr/lib/apache2",
                *(f"LoadModule {name}_module modules/mod_{name}.so" for name in modules),
                f"LoadModule {module}_module modules/{file}",
                f"ServerName localhost\nListen 127.0.0.1:{API.port}\nPidFile {folder}/pid\nErrorLog {folder}/error.log",
                f"DefaultRuntimeDir {folder}\nDocumentRoot {folder}\nStartServers 1\nServerLimit 1\nThreadsPerChild 25",
                "User www-data\nGroup www-data\nMaxRequestWorkers 25",
                *directives,
            ]
        )
    )
    libraries = f"{root}/usr/lib/x86_64-linux-gnu"
    command = [f"{root}/usr/sbin/apache2", "-DFOREGROUND", "-f", f"{folder}/apache.conf"]
    folder.chmod(0o755)
    server = subprocess.Popen(command, env=os.environ | {"LD_LIBRARY_PATH": libraries})

    def check(token):
        request = urllib.request.Request(
            f"http://127.0.0.1:{API.port}/index.html", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=60):
            pass

    while server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", API.port), 1):
            break
        time.sleep(0.1)
    check.close = server.terminate
    return check


def mod_oauth2():
    verify = f'OAuth2TokenVerify jwks_uri {API.jwks_uri} "jwks_uri.ssl_verify=false"'
    return _apache("oauth2", "mod_oauth2.so", *_location("oauth2", "oauth2_claim", verify))


def mod_auth_openidc():
    verify = f"OIDCCryptoPassphrase for-this-run\nOIDCOAuthVerifyJwksUri {API.jwks_uri}\nOIDCOAuthSSLValidateServer Off"
    return _apache("auth_openidc", "mod_auth_openidc.so", verify, *_location("oauth20", "claim"))


def _location(auth_type, require, *directives):
    claims = [f'Require {require} "iss:{API.issuer}"', f'Require {require} "aud:{API.audience}"']
    return [
        "<Location />",
        f"AuthType {auth_type}",
        *directives,
        "<RequireAll>",
        *claims,
        "</RequireAll>",
        "</Location>",
    ]


def _raise(problem, _token):
    raise problem


def main(name):
    def answer(*words):
        sys.stdout.write(" ".join(words) + "\n")
        sys.stdout.flush()

    try:
        check = globals()[name]()
    except Exception as problem:  # noqa: BLE001 - whatever the package raises
        check = partial(_raise, problem)
    answer("ready")
    for line in sys.stdin:
        try:
            check(line.strip())
        except Exception as error:  # noqa: BLE001
            answer("refused", " ".join(f"{type(error).__name__}: {error}".split())[:200])
        else:
            answer("accepted")
    with suppress(AttributeError):
        check.close()


if __name__ == "__main__":
    main(sys.argv[1])
