"""No admin page reveals any private part of a signing key, with DEBUG on or off."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urljoin, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from django_at_jwt.authorization_server.keys.encryption import decrypt_private_key
from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.core.jose.keys import PRIVATE_MEMBERS
from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.models import ClaimMapper, ResourceServer, SigningKey

pytestmark = pytest.mark.django_db

LIST = "/admin/django_at_jwt/signingkey/"
MOST_PAGES = 400


@pytest.fixture
def browser(settings, request, admin_user):
    settings.DEBUG = request.param
    browser = Client(raise_request_exception=False)
    browser.force_login(admin_user)
    return browser


@pytest.fixture
def rows_of_every_model(signing_keys, service, web, user):
    """Rows of every model in the admin, and keys in every state."""
    ResourceServer.objects.create(identifier="https://mail.example.com/", name="Mail")
    ClaimMapper.objects.create(name="email", source="user.email", claim="email")
    web.code_flow(user)
    service.token("client_credentials")
    secrets = secrets_of_all_keys()
    for algorithm in ("RS256", "ES256"):
        rotate_signing_keys(early=[algorithm])
    return secrets | secrets_of_all_keys()


def secrets_of_all_keys():
    secrets = set()
    for row in SigningKey.objects.exclude(private_jwe=""):
        private = decrypt_private_key(row.private_jwe, kid=row.kid).export_private(as_dict=True)
        members = PRIVATE_MEMBERS & private.keys()
        assert members
        # Parts of the ciphertext are secret as well; the JWE header is the same for all keys.
        secrets |= {private[member] for member in members} | set(row.private_jwe.split(".")[1:])
    return secrets


def pages_from(browser, start):
    """Yield the address, status and text of every linked admin page, without query strings."""
    seen, to_see = set(), [start]
    while to_see and len(seen) < MOST_PAGES:
        address = to_see.pop()
        if address in seen:
            continue
        seen.add(address)
        page = browser.get(address)
        if page.streaming or "text/html" not in page.get("Content-Type", "text/html"):
            continue
        text = page.content.decode()
        yield address, page.status_code, text
        links = (urlsplit(urljoin(address, unescape(link))) for link in re.findall(r'href="([^"]+)"', text))
        to_see += [link.path for link in links if not link.netloc and link.path.startswith("/admin/")]
    assert not to_see, "there are more pages than that"


@pytest.mark.parametrize("browser", [True, False], indirect=True, ids=["DEBUG", "production"])
def test_no_linked_page_has_secrets(browser, rows_of_every_model):
    seen = {}
    for address, status, text in pages_from(browser, "/admin/"):
        assert status in {200, 302, 403}, address
        assert not [secret for secret in rows_of_every_model if secret in text], address
        seen[address] = text
    # The crawl reached the pages of every key.
    for key in SigningKey.objects.all():
        assert {f"{LIST}{key.pk}/{page}/" for page in ("change", "history", "revoke")} <= seen.keys()
    assert f"{LIST}rotate/" in seen
    assert any("accesstoken" in address for address in seen)


@pytest.mark.parametrize("browser", [True, False], indirect=True, ids=["DEBUG", "production"])
def test_no_response_to_unusual_requests_has_secrets(browser, rows_of_every_model):
    key = next(row for row in SigningKey.objects.all() if row.state_at(timezone.now()) is KeyState.SIGNING)
    answers = [
        browser.get(f"{LIST}?private_jwe__startswith=e"),
        browser.get(f"{LIST}?o=99&p=99&q=%00"),
        browser.get(f"{LIST}no-such-key/change/", follow=True),
        browser.get(f"{LIST}999999/revoke/", follow=True),
        browser.post(f"{LIST}{key.pk}/delete/", {"post": "yes"}),
        browser.post(f"{LIST}{key.pk}/change/", {"private_jwe": "x"}),
        browser.post(f"{LIST}{key.pk}/revoke/", {}),
        browser.post(f"{LIST}rotate/", follow=True),
        browser.post(f"{LIST}{key.pk}/revoke/", {"reason": "x"}, follow=True),
        browser.get(f"{LIST}{key.pk}/history/"),
        browser.get("/admin/"),
    ]
    secrets = rows_of_every_model | secrets_of_all_keys()
    for answer in answers:
        assert answer.status_code < 500
        assert not [secret for secret in secrets if secret in answer.content.decode()]
