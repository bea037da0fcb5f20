"""The pages for people, as their browsers get them."""

import re
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from example_project.http_client import DEVICE_CODE_GRANT, Browser, UnexpectedAnswer
from tests.patience import PATIENCE_SECONDS


def text_of(page):
    main = page[page.index("<main>") :] if "<main>" in page else page
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())


# The example's clients are on a loopback address.
RETURNS = "Your browser then returns to an app on this device ."


def has_no_foreign_parts(page):
    parts = re.findall(r'<(?:link|script|img|iframe)\b[^>]*(?:href|src)="([^"]*)"', page)
    return "<script" not in page and all(part.startswith("/static/") for part in parts)


@pytest.fixture
def browser(site):
    return site.browser()


def test_the_start_page_says_what_is_here_and_who_you_are(site, browser):
    before = requests.get(site.base_url, timeout=PATIENCE_SECONDS).text
    assert "You are not logged in." in text_of(before)
    browser.open(f"{site.base_url}/o/device/")
    after = browser.open(site.base_url).text
    assert "User name alice Subject" in text_of(after)
    assert "Administrator no" in text_of(after)
    addresses = [
        "/admin/",
        "/admin/django_at_jwt/signingkey/",
        "/.well-known/oauth-authorization-server/o",
        "/o/.well-known/openid-configuration",
        site.description["jwks_uri"],
        site.notes["url"],
        site.reports["url"],
    ]
    for page in (before, after):
        assert [address for address in addresses if f'href="{address}"' not in page] == []
        assert has_no_foreign_parts(page)


def test_the_style_is_served_and_knows_dark_and_narrow_windows(site):
    page = requests.get(site.base_url, timeout=PATIENCE_SECONDS).text
    [address] = re.findall(r'href="(/static/example_project/[^"]+\.css)"', page)
    style = requests.get(site.base_url + address, timeout=PATIENCE_SECONDS)
    assert style.headers["Content-Type"].startswith("text/css")
    assert "@media (prefers-color-scheme: dark)" in style.text
    assert "@media (max-width:" in style.text
    assert "url(" not in style.text


def test_a_wrong_password_is_told(site):
    with pytest.raises(UnexpectedAnswer, match="answered with status 200 instead of a redirect"):
        Browser(username="alice", password="wrong").open(f"{site.base_url}/try/")
    address = f"{site.base_url}/login/"
    session = requests.Session()
    page = session.get(address, timeout=PATIENCE_SECONDS)
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
    answer = session.post(address, data={**fields, "username": "alice", "password": "wrong"}, timeout=PATIENCE_SECONDS)
    assert "Please enter a correct username and password" in text_of(answer.text)
    assert has_no_foreign_parts(answer.text)


def test_the_consent_page_shows_the_client_the_api_and_the_scopes(site, browser):
    authorization = site.client("web").begin_authorization(
        scope="openid reports:read", resource=site.reports["identifier"]
    )
    page = browser.open(authorization.address).text
    said = text_of(page)
    assert said.startswith("Authorize Example web application? Example web application requests access")
    assert "on behalf of alice . Know who you are Reports Statistics about the notes of all users." in said
    assert f"{site.reports['identifier']} Read the number of notes and of authors {RETURNS} Cancel Authorize" in said
    assert has_no_foreign_parts(page)


def test_the_consent_page_names_the_default_api_where_none_was_asked_for(site, browser):
    page = browser.open(site.client("spa").begin_authorization(scope="api:read").address).text
    assert f"Notes Your personal notes. {site.notes['identifier']} Read your notes {RETURNS} Cancel" in text_of(page)


def test_the_consent_page_names_all_that_were_asked_for(site, browser):
    address = site.client("spa").begin_authorization(scope="api:read").address
    for each in (site.notes, site.reports):
        address += f"&resource={each['identifier']}"
    said = text_of(browser.open(address).text)
    assert f"{site.notes['identifier']} Read your notes Reports" in said
    assert f"{site.reports['identifier']} Access on your behalf, without specific permissions" in said


def test_the_consent_page_warns_of_a_client_that_any_app_can_pretend_to_be(site, browser):
    registration = {"redirect_uris": ["http://127.0.0.1/callback"], "token_endpoint_auth_method": "none"}
    address = f"{site.base_url}/o/register/"
    # Without a name, it is shown by its identifier.
    client_id = requests.post(address, json=registration, timeout=PATIENCE_SECONDS).json()["client_id"]
    mcp_server = site.description["mcp_server"]["url"]
    request = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": "http://127.0.0.1:3118/callback",
        "scope": "notes:read",
        "resource": mcp_server,
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
    }
    said = text_of(browser.open(f"{site.base_url}/o/authorize/?{urlencode(request)}").text)
    assert said.startswith(f"Authorize {client_id}?")
    assert f"{RETURNS} Any app on this device can pretend to be this application. Continue only if" in said


def test_cancel_gives_no_code(site, browser):
    authorization = site.client("web").begin_authorization(scope="api:read")
    redirect = browser.cancel(authorization)
    answer = parse_qs(urlsplit(redirect).query)
    assert redirect.startswith(site.description["clients"]["web"]["redirect_uri"])
    assert (answer["error"], answer["state"]) == (["access_denied"], [authorization.state])
    assert "access_denied" in text_of(browser.open(redirect).text)


def test_an_error_that_cannot_go_to_the_client_is_a_page(site):
    session = requests.Session()
    browser = site.browser()
    browser.open(f"{site.base_url}/o/device/")
    session.cookies.update(browser.cookies)
    answer = session.get(f"{site.issuer}/authorize/?client_id=nobody&response_type=code", timeout=PATIENCE_SECONDS)
    assert answer.status_code == 400
    assert "Invalid authorization request Invalid client_id parameter value." in text_of(answer.text)
    assert "invalid_request" in answer.text


def test_trying_the_web_client_shows_how_to_exchange_the_code(site, browser):
    redirect = browser.agree(f"{site.base_url}/try/")
    page = browser.open(redirect).text
    sent = dict(re.findall(r"-d (\w+)=(\S+)", text_of(page)))
    tokens = requests.post(site.description["token_endpoint"], data=sent, timeout=PATIENCE_SECONDS).json()
    assert tokens["scope"] == "openid profile api:read api:write"
    assert "access_token" in tokens


def test_an_answer_to_somebody_elses_request_is_shown_without_a_verifier(site, browser):
    browser.agree(f"{site.base_url}/try/")
    page = browser.open(f"{site.base_url}/callback/?code=stolen&state=other").text
    assert "stolen" in page
    assert "code_verifier" not in page
    assert "<i>" not in browser.open(f"{site.base_url}/callback/?code=<i>").text


def test_the_pages_of_the_device_grant(site, browser):
    asked = site.client("device").ask_for_device_code(scope="openid api:read api:write")
    assert asked["verification_uri"] == f"{site.issuer}/device/"
    assert asked["verification_uri_complete"].endswith(f"?user_code={asked['user_code']}")
    page = browser.open(asked["verification_uri_complete"])
    assert f'value="{asked["user_code"]}"' in page.text
    confirmation = browser.submit(page, user_code=asked["user_code"])
    said = text_of(confirmation.text)
    assert said.startswith("Connect Example television?")
    assert "on behalf of alice . Know who you are Notes Your personal notes." in said
    assert f"{site.notes['identifier']} Read your notes Write notes on your behalf Continue only if" in said
    status = browser.submit(confirmation, action="deny")
    assert "Device: Denied" in text_of(status.text)
    for each in (page, confirmation, status):
        assert has_no_foreign_parts(each.text)
        assert each.text.count("<html") == 1
    answer = site.client("device").token(DEVICE_CODE_GRANT, device_code=asked["device_code"])
    assert answer["error"] == "access_denied"


def test_the_admin_lists_the_signing_keys(site):
    page = site.browser("admin").open(f"{site.base_url}/login/?next=/admin/django_at_jwt/signingkey/").text
    kids = [key["kid"] for key in site.authorization_server.jwk_set()["keys"]]
    assert len([kid for kid in kids if kid[:8] in page]) == 2


def test_the_toolkits_other_pages_have_the_same_frame(site, browser):
    for path in ("/o/applications/", "/o/authorized_tokens/"):
        page = browser.open(site.base_url + path).text
        assert 'class="site"' in page
        assert has_no_foreign_parts(page)
