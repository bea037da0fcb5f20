"""The pages on addresses of APIs, other bearer tokens, and documents of the site: their code runs as written."""

from __future__ import annotations

import sys
from copy import deepcopy
from types import ModuleType, SimpleNamespace

import pytest
from django.core.checks import run_checks
from django.test import Client
from django.urls import path
from oauthlib.common import Request

from django_at_jwt import verify
from django_at_jwt.resource_server import protected_resources
from django_at_jwt.rest_framework import AccessTokenAuthentication
from django_at_jwt.testing import InMemoryIssuer
from tests.conftest import decoded

from .blocks import ADDRESSES, blocks_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]

MOVE, SEVERAL, OTHERS, METADATA = ADDRESSES.pages
WWW, APP, LOCAL = "https://www.example.com/", "https://app.example.com/", "http://localhost:8000/"


@pytest.fixture
def project(settings, monkeypatch):
    """Run the blocks of a page in their order, and return the modules by name."""
    monkeypatch.setattr(protected_resources, "_named_by_views", {})

    def run(page):
        package = ModuleType("mysite")
        package.__path__ = []
        monkeypatch.setitem(sys.modules, "mysite", package)
        modules = {}
        for block in blocks_of(page):
            if block.language != "python":
                continue
            name = block.file.removesuffix(".py").replace("/", ".")
            if name == "mysite.settings":
                values = {name: deepcopy(getattr(settings, name)) for name in ("AT_JWT", "OAUTH2_PROVIDER")}
                exec(block.text, values)
                settings.AT_JWT, settings.OAUTH2_PROVIDER = values["AT_JWT"], values["OAUTH2_PROVIDER"]
                continue
            module = modules.setdefault(name, ModuleType(name))
            module.__package__ = "mysite"
            monkeypatch.setitem(sys.modules, name, module)
            if name == "mysite.urls":
                module.path, module.urlpatterns = path, [*site_urls()]
            exec(block.text, vars(module))
        return SimpleNamespace(**{name.rpartition(".")[2]: module for name, module in modules.items()})

    return run


def site_urls():
    from tests.site.urls_of_apis import urlpatterns

    return urlpatterns


@pytest.fixture
def serve(settings, monkeypatch):
    def serve(**views):
        patterns = [path(f"{name}/", view.as_view()) for name, view in views.items()]
        monkeypatch.setitem(sys.modules, "documented_urls", SimpleNamespace(urlpatterns=[*patterns, *site_urls()]))
        settings.ROOT_URLCONF = "documented_urls"

    return serve


def get(address, token, host="www.example.com"):
    return Client().get(address, headers={"Host": host, "Authorization": f"Bearer {token}"})


def token_for(service, resource):
    answer = service.token("client_credentials", resource=resource)
    assert answer.status_code == 200, answer.content
    return answer.json()["access_token"]


def warnings():
    return {message.id for message in run_checks() if message.id.startswith("django_at_jwt.")}


def test_moving_an_api(project, service, settings):
    project(MOVE)
    old, new = settings.AT_JWT["AUDIENCE"][1], settings.AT_JWT["AUDIENCE"][0]
    for name in (old, new):
        assert decoded(token_for(service, name))[1]["aud"] == new
    assert verify(token_for(service, old)).auth["aud"] == new
    # A token from before the move.
    with InMemoryIssuer(audience=old, algorithm="ES256").installed() as issuer:
        settings.AT_JWT = {**settings.AT_JWT, "AUDIENCE": [new, old]}
        assert verify(issuer.token(sub="a client", client_id="a client")).auth["aud"] == old
    assert "django_at_jwt.W042" not in warnings()


def test_several_addresses(project, service, settings, serve):
    settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": []}
    mysite = project(SEVERAL)
    serve(inventory=mysite.inventory.Inventory)
    assert settings.AT_JWT["AUDIENCE"] == [WWW, APP, LOCAL]
    for resource in settings.AT_JWT["AUDIENCE"]:
        assert decoded(token_for(service, resource))[1]["aud"] == resource
        validator = mysite.oauth.SiteValidator()
        assert validator.validate_bearer_token(token_for(service, resource), [], Request(f"{APP}toolkit/"))
    settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": [APP, LOCAL, *mysite.inventory.ADDRESSES]}
    for resource in mysite.inventory.ADDRESSES:
        assert get("/inventory/", token_for(service, resource)).json() == {"audience": resource}
    assert get("/inventory/", token_for(service, WWW)).status_code == 401


def test_other_bearer_tokens(project, service, settings, serve, user):
    settings.AT_JWT = {**settings.AT_JWT, "DEFAULT_RESOURCE": WWW, "RESOURCE_SERVERS": [f"{WWW}pay/"]}
    mysite = project(OTHERS)
    serve(mixed=mysite.mixed.Mixed, payments=mysite.payments.Payments)
    assert not warnings() & {"django_at_jwt.W019", "django_at_jwt.W037", "django_at_jwt.W038"}

    def authenticate_credentials(self, key):
        assert key == "a-key"
        return user, None

    mysite.mixed.ApiKeyAuthentication.authenticate_credentials = authenticate_credentials
    assert get("/mixed/", "a-key").json() == {"user": user.get_username()}
    assert get("/payments/", token_for(service, WWW)).json() == {"audience": WWW}
    assert get("/payments/", token_for(service, f"{WWW}pay/")).json() == {"audience": f"{WWW}pay/"}
    strict, usual = mysite.payments.Payments.authentication_classes
    assert (strict.revocation, strict.exclusive, usual.exclusive) == ("row", False, True)
    assert issubclass(strict, AccessTokenAuthentication)


def test_own_metadata(project, settings, serve):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": "https://www.example.com/o"}
    project(METADATA)
    settings.ROOT_URLCONF = "mysite.urls"
    for address in ("/.well-known/oauth-authorization-server/o", "/o/.well-known/oauth-authorization-server"):
        document = Client().get(address).json()
        assert document["service_documentation"] == "https://www.example.com/help"
        assert document["issuer"] == "https://www.example.com/o"
        assert document["jwks_uri"] == "https://www.example.com/o/.well-known/jwks.json"
    assert "django_at_jwt.W036" not in warnings()
    assert "django_at_jwt.W002" not in warnings()
