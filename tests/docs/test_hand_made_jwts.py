"""The pages on replacing JWTs that a site signs itself: old and new tokens, the order of classes, and the keys."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from types import ModuleType

import jwt
import pytest
from django.core.management import CommandError, call_command
from django.test import RequestFactory
from django.utils import timezone
from django.utils.module_loading import import_string
from jwcrypto.jwk import JWK
from oauth2_provider.models import get_access_token_model, get_application_model
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.models import SigningKey
from django_at_jwt.resource_server.verification import verify_token
from django_at_jwt.rest_framework import AccessTokenAuthentication
from tests.conftest import decoded

from .blocks import blocks_of, topic

simplejwt = pytest.importorskip("rest_framework_simplejwt.tokens", reason="simplejwt is not installed")

GENERATOR, SIMPLEJWT, OPEN_EDX, IN_CODE = (
    topic(f"how-to/{name}")
    for name in ("jwts-of-another-generator", "from-simplejwt", "from-open-edx", "from-jwts-in-code")
)
pytestmark = pytest.mark.django_db


def run_blocks(page):
    """Execute the blocks of Python of a page, and return their names by file."""
    names = {}
    for block in blocks_of(page):
        if block.language == "python":
            names[block.file] = {"__name__": "mysite"}
            exec(block.text, names[block.file])
    return names


def answer(view, token, scheme="Bearer"):
    request = RequestFactory().get(
        "/", secure=True, headers={"Authorization": f"{scheme} {token}", "Host": "api.example.com"}
    )
    return view.as_view()(request)


def status(view, token, scheme="Bearer"):
    return answer(view, token, scheme).status_code


@pytest.fixture(scope="module")
def rsa():
    return JWK.generate(kty="RSA", size=2048)


@pytest.fixture
def pem(rsa):
    return rsa.export_to_pem(private_key=True, password=None).decode()


@pytest.fixture
def signing(request):
    """Rows of keys, for the tests that import none."""
    request.getfixturevalue("keys_made_quickly")
    return request.getfixturevalue("signing_keys")


class Ours(APIView):
    authentication_classes = (AccessTokenAuthentication,)
    permission_classes = (IsAuthenticated,)

    def get(self, request):
        return Response({"user": request.user.pk})


def test_tokens_of_another_generator(web, user, settings, pem, monkeypatch):
    names = run_blocks(GENERATOR)
    module = ModuleType("generators_of_the_page")
    vars(module).update(names["mysite/generators.py"])
    monkeypatch.setitem(sys.modules, module.__name__, module)
    ours, settings.JWT_PRIVATE_KEY = settings.OAUTH2_PROVIDER, pem
    settings.OAUTH2_PROVIDER = {
        "SCOPES": ours["SCOPES"],
        "ACCESS_TOKEN_GENERATOR": f"{module.__name__}.generate_access_token",
        "ALWAYS_RELOAD_OAUTHLIB_CORE": True,
    }
    settings.ROOT_URLCONF = "tests.site.toolkit_urls"
    before = web.code_flow(user).json()
    assert decoded(before["access_token"])[0] == {"alg": "RS256", "typ": "JWT", "kid": "2024"}

    settings.OAUTH2_PROVIDER, settings.ROOT_URLCONF = ours, "tests.site.urls"
    [command] = [block.commands[0] for block in blocks_of(GENERATOR) if block.language == "console"]
    call_command(*command.removeprefix("python manage.py ").split(), verbosity=0)
    after = web.token("refresh_token", refresh_token=before["refresh_token"]).json()["access_token"]
    assert decoded(after)[0]["kid"] == JWK.from_pem(pem.encode()).thumbprint()
    moving = names["mysite/moving.py"]["Moving"]
    other = web.code_flow(user).json()["access_token"]
    assert answer(moving, other).data == {"user": user.pk}
    assert status(Ours, before["access_token"]) == 401
    assert status(moving, "x.y.z") == 401


def test_live_token_of_another_generator_works_on_the_view_that_takes_both(web, user, settings, pem, monkeypatch):
    names = run_blocks(GENERATOR)
    settings.JWT_PRIVATE_KEY = pem
    call_command("import_signing_key", "--from-setting", "JWT_PRIVATE_KEY", verbosity=0)
    issued = web.code_flow(user).json()["access_token"]
    row = get_access_token_model().objects.get()
    request = type("Request", (), {"user": user, "scopes": ["read"]})
    old = names["mysite/generators.py"]["generate_access_token"](request)
    get_access_token_model().objects.create(
        token=old, user=user, application=web.application, expires=row.expires, scope="read"
    )
    moving = names["mysite/moving.py"]["Moving"]
    assert [answer(moving, token).data for token in (old, issued)] == [{"user": user.pk}] * 2
    assert status(Ours, old) == 401
    get_access_token_model().objects.filter(token=old).update(expires=row.created - timedelta(hours=1))
    assert status(moving, old) == 401


def test_view_accepts_tokens_of_simplejwt_and_ours(signing, web, user, monkeypatch):
    backend = import_string("rest_framework_simplejwt.backends.TokenBackend")("HS256", "s" * 32)
    monkeypatch.setattr("rest_framework_simplejwt.state.token_backend", backend)
    monkeypatch.setattr("rest_framework_simplejwt.tokens.Token._token_backend", None)
    both = run_blocks(SIMPLEJWT)["mysite/both.py"]["Both"]
    old, new = str(simplejwt.AccessToken.for_user(user)), web.code_flow(user).json()["access_token"]
    assert [answer(both, token).data for token in (old, new)] == [{"user": "alice"}] * 2
    assert status(Ours, old) == 401
    assert status(both, f"{new[:-4]}AAAA") == 401
    assert status(both, "x.y.z") == 401
    wrong = type("Wrong", (both,), {"authentication_classes": both.authentication_classes[::-1]})
    assert status(wrong, new) == 401  # As the page says.


def test_view_accepts_tokens_of_open_edx_and_ours(signing, web, user, monkeypatch):
    moving = run_blocks(OPEN_EDX)["mysite/edx.py"]["Moving"]
    theirs = moving.authentication_classes[1]
    monkeypatch.setattr(theirs, "authenticate_credentials", lambda _self, key: (user, key))
    new = web.code_flow(user).json()["access_token"]
    assert status(moving, new) == 200
    assert status(moving, "anything", scheme="JWT") == 200
    assert status(moving, "anything") == 401


def test_tokens_of_the_sites_code(signing, user, settings, make_client):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]  # It has encrypted the keys of the tests.
    settings.SECRET_KEY = "s" * 32
    names = run_blocks(IN_CODE)
    make_client(client_id="exports")
    old, new = (names[f"mysite/{name}.py"]["mint"](user) for name in ("before", "after"))

    class FromCode(BaseAuthentication):
        def authenticate(self, request):
            token = request.headers["Authorization"].removeprefix("Bearer ")
            try:
                claims = jwt.decode(token, settings.SECRET_KEY, algorithms=["HS256"])
            except jwt.InvalidTokenError:
                return None
            return type(user).objects.get(pk=claims["sub"]), claims

    class Both(Ours):
        authentication_classes = (
            AccessTokenAuthentication.for_audience(None, exclusive=False),
            FromCode,
            AccessTokenAuthentication,
        )

    assert [status(Both, token) for token in (old, new, "x.y.z", f"{new[:-4]}AAAA")] == [200, 200, 401, 401]
    assert [status(Ours, token) for token in (old, new)] == [401, 200]
    assert verify_token(new).scopes == {"read"}
    assert get_application_model().objects.get().client_id == verify_token(new).client_id


class TestKeys:
    @pytest.mark.parametrize("form", ["text", "dict", "set"])
    def test_key_of_open_edx(self, form, rsa, settings):
        key = {**rsa.export_private(as_dict=True), "kid": "L9IHZW6G"}
        settings.JWT_AUTH = {
            "JWT_PRIVATE_SIGNING_JWK": {"text": json.dumps(key), "dict": key, "set": json.dumps({"keys": [key]})}[form]
        }
        [command] = [block.commands[0] for block in blocks_of(OPEN_EDX) if block.language == "console"]
        call_command(*command.removeprefix("python manage.py ").split(), verbosity=0)
        first = SigningKey.objects.earliest("signing_at")
        assert (first.kid, first.state_at(timezone.now())) == (rsa.thumbprint(), KeyState.SIGNING)

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            ("django-insecure-1234", "The secret of HS256 cannot be imported"),
            ({"kty": "oct", "k": "c2VjcmV0"}, "but a shared secret. The secret of HS256 cannot be imported"),
            ({"keys": []}, "A JWK set must have one key (got 0)."),
            ({"keys": [{}, {}]}, "A JWK set must have one key (got 2). Import its keys one by one."),
            ("", "The setting 'JWT_KEY' is missing, empty, or neither a string nor a dict."),
            (None, "The setting 'JWT_KEY' is missing, empty, or neither a string nor a dict."),
            (
                {"SIGNING_KEY": "1234", "ACCESS_TOKEN_LIFETIME": timedelta(minutes=5)},
                "The setting 'JWT_KEY' is a dict, but not a JWK",
            ),
        ],
        ids=["secret", "symmetric JWK", "empty set", "set of two", "empty", "missing", "settings of simplejwt"],
    )
    def test_unusable_key_is_refused(self, value, said, settings):
        settings.JWT_KEY = value
        with pytest.raises(CommandError) as caught:
            call_command("import_signing_key", "--from-setting", "JWT_KEY", verbosity=0)
        assert said in str(caught.value)
        assert "1234" not in str(caught.value)
        assert "c2VjcmV0" not in str(caught.value)
        assert not SigningKey.objects.exists()

    def test_setting_that_is_not_a_dict_is_refused(self, settings):
        settings.JWT_KEY = "x"
        with pytest.raises(CommandError, match=r"The setting 'JWT_KEY\.a' is missing"):
            call_command("import_signing_key", "--from-setting", "JWT_KEY.a", verbosity=0)
