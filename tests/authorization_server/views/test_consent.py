"""What the consent pages call an API without a name, and where they say that the browser returns to."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from django.urls import reverse
from oauth2_provider.models import get_grant_model

from tests import settings as site
from tests.conftest import DEVICE_CODE_GRANT

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]

OTHER_PATH = "https://api.example.com/billing/"
# The second has dark colours for the first.
STYLE_SHEETS = ["oauth2_provider/css/oauth2_provider.css", "django_at_jwt/consent.css"]


@pytest.fixture
def page_of(make_client, user):
    """The consent page of a client with a redirect URI."""

    def page_of(redirect_uri, **parameters):
        client = make_client(redirect_uris=redirect_uri, name="Shop")
        client.browser.force_login(user)
        query = {
            "response_type": "code",
            "client_id": client.application.client_id,
            "redirect_uri": redirect_uri,
            "scope": "read",
            "code_challenge": "x" * 43,
            "code_challenge_method": "S256",
            **parameters,
        }
        page = client.browser.get("/o/authorize/", query)
        assert page.status_code == 200, page.content
        return page

    return page_of


def headings(page):
    return [unescape(each) for each in re.findall(r"<h4>(.*?)</h4>", page.content.decode())]


def destination(page):
    found = re.search(r"returns to <strong>(.*?)</strong>", page.content.decode())
    return None if found is None else unescape(found[1])


def style_sheets(page):
    return re.findall(r'<link [^>]*href="/static/([^"]+)"', page.content.decode())


def test_requested_claims_survive_a_form_without_the_query(page_of, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ENABLED": True}
    claims = {"id_token": {"email": {"essential": True}}}
    page = page_of("https://client.example.com/callback", scope="openid read", claims=json.dumps(claims))
    form = {name: value for name, value in page.context["form"].initial.items() if value is not None}
    # As from a site's own template, whose form has the endpoint as its action.
    answer = page.client.post("/o/authorize/", {**form, "allow": "on"})
    assert answer.status_code == 302, answer.content
    assert json.loads(get_grant_model().objects.get().claims) == claims


class TestUnnamedApi:
    def test_is_called_by_its_host(self, page_of):
        page = page_of("https://shop.example.com/callback")
        assert headings(page) == ["API at api.example.com"]
        assert style_sheets(page) == STYLE_SHEETS
        assert "https://" not in page.content.decode().partition("<h4>")[2].partition("</form>")[0]

    def test_of_several_on_one_host_is_called_by_its_path_too(self, page_of, settings):
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {OTHER_PATH: {"scopes": ["read"]}}}
        page = page_of("https://shop.example.com/callback", resource=[site.API, OTHER_PATH])
        assert headings(page) == ["API at api.example.com/", "API at api.example.com/billing/"]

    def test_is_called_by_its_host_on_the_page_of_a_device(self, make_client, user):
        device = make_client(DEVICE_CODE_GRANT, client_type="public")
        started = device.post("/o/device-authorization/", {"scope": "read"}).json()
        device.browser.force_login(user)
        entered = device.browser.post(reverse("oauth2_provider:device"), {"user_code": started["user_code"]})
        page = device.browser.get(entered["Location"])
        assert headings(page) == ["API at api.example.com"]
        # The browser stays here.
        assert destination(page) is None
        assert style_sheets(page) == STYLE_SHEETS


class TestDestination:
    @pytest.mark.parametrize(
        ("redirect_uri", "shown"),
        [
            ("https://Shop.example.com/callback?x=1", "shop.example.com"),
            ("https://shop.example.com:8443/callback", "shop.example.com:8443"),
            ("http://127.0.0.1:8000/callback", "an app on this device"),
            ("http://[::1]/", "an app on this device"),
            ("http://localhost:3000/callback", "an app on this device"),
            ("com.example.shop:/callback", "the app on this device that opens com.example.shop: links"),
        ],
    )
    def test_is_a_host_or_words(self, redirect_uri, shown, page_of, settings):
        schemes = ["https", "http", "com.example.shop"]
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ALLOWED_REDIRECT_URI_SCHEMES": schemes}
        assert destination(page_of(redirect_uri)) == shown

    def test_is_shown_again_after_an_invalid_answer(self, page_of):
        page = page_of("https://shop.example.com/callback")
        again = page.client.post(f"/o/authorize/?{page.wsgi_request.META['QUERY_STRING']}", {"allow": "on"})
        assert destination(again) == "shop.example.com"
