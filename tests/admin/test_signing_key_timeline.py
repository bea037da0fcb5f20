"""The timeline of the signing keys in the admin, also as read by a screen reader."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from django.utils import timezone

from django_at_jwt.admin.dates import format_instant
from django_at_jwt.admin.signing_key.timeline import timeline
from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.models import SigningKey
from tests.signing_key_rows import key_in

pytestmark = pytest.mark.django_db

LIST = "/admin/django_at_jwt/signingkey/"


class TestTimeline:
    def test_to_scale(self, signing_keys):
        now = timezone.now()
        laid_out = timeline(signing_keys, now)
        assert [row.state for row in laid_out.rows] == [KeyState.SIGNING, KeyState.ANNOUNCED]
        for row in laid_out.rows:
            ends = [(span.left, span.left + span.width) for span in row.spans]
            assert all(0 <= left <= right <= 100.001 for left, right in ends)
            assert all(abs(a[1] - b[0]) < 0.01 for a, b in pairwise(ends))
        assert 0 < laid_out.now < 100

    def test_revoked_key_ends_at_its_revocation(self, signing_keys):
        now = timezone.now()
        signing_keys[0].revoked_at = now
        [row] = timeline(signing_keys[:1], now).rows
        assert row.state is KeyState.REVOKED
        assert all(span.ends_at is None or span.ends_at <= now for span in row.spans)

    def test_instants_after_a_revocation_are_ignored(self, signing_keys):
        signing = signing_keys[0]
        signing.revoked_at = now = timezone.now()
        laid_out = timeline([signing], now)
        assert laid_out.ends_at - now < timedelta(days=1) < signing.retained_at - now

    def test_key_revoked_long_ago_is_left_out_and_counted(self, signing_keys, admin_client, settings):
        key, now = key_in(KeyState.SIGNING), timezone.now()
        kid, said = f'title="{key.kid}">{key.kid[:8]}…', "1 retired or revoked key without live tokens is not"

        def revoked(ago, *, last_token_in):
            at = now - ago
            times = {"announced_at": at - timedelta(days=9), "signing_at": at - timedelta(days=9), "revoked_at": at}
            SigningKey.objects.filter(pk=key.pk).update(**times, last_token_expires_at=now + last_token_in)
            return admin_client.get(LIST).content.decode()

        for ago, last in ((timedelta(days=1), -timedelta(days=1)), (timedelta(days=999), timedelta(hours=1))):
            page = revoked(ago, last_token_in=last)
            assert kid in page
            assert said not in page
        page = revoked(timedelta(days=999), last_token_in=-timedelta(days=998))
        assert kid not in page
        assert said in page
        assert key.kid in page

    def test_nothing_to_show(self):
        assert timeline([], timezone.now()) is None


def images(page):
    """Return the texts of the timeline for screen readers."""
    return [unescape(text) for text in re.findall(r'<svg class="bar" role="img" aria-label="([^"]+)"', page)]


class TestMarkup:
    def test_states_and_instants_are_text(self, signing_keys, admin_client):
        signing, announced = key_in(KeyState.SIGNING), key_in(KeyState.ANNOUNCED)
        said = images(admin_client.get(LIST).content.decode())
        start, end, gone = (format_instant(at) for at in (signing.signing_at, signing.retained_at, signing.retired_at))
        assert said[0] == (f"RS256 {signing.kid}: signing from {start} until {end}; retained from {end} until {gone}")
        assert said[1].endswith(f"signing from {format_instant(announced.signing_at)} until further notice")

    def test_revoked_key_is_marked_and_in_the_legend(self, signing_keys, admin_client):
        assert '<svg class="revoked"' not in admin_client.get(LIST).content.decode()
        key = key_in(KeyState.SIGNING)
        admin_client.post(f"{LIST}{key.pk}/revoke/", {"reason": "x"})
        key.refresh_from_db()
        page = admin_client.get(LIST).content.decode()
        assert images(page)[0].endswith(f"; revoked at {format_instant(key.revoked_at)}")
        assert page.count('<svg class="revoked"') == 1
        assert re.search(r'<path class="revoked"[^>]*/></svg>revoked</li>', page)

    def test_of_a_key_that_only_the_settings_revoke_no_instant_is_shown(self, signing_keys, admin_client, settings):
        key = key_in(KeyState.SIGNING)
        settings.AT_JWT = {**settings.AT_JWT, "REVOKED_KIDS": [key.kid]}
        page = admin_client.get(LIST).content.decode()
        said = 'revoked by AT_JWT["REVOKED_KIDS"], at an unknown time'
        assert f"{key.algorithm} {key.kid}: {said}" in images(page)
        assert "revoked by REVOKED_KIDS, time unknown" in page
        [row] = [each for each in timeline([*SigningKey.objects.all()], timezone.now()).rows if each.kid == key.kid]
        assert (row.state, row.spans, row.revoked) == (KeyState.REVOKED, (), None)
        # The period that is shown is that of the other keys.
        others = [each for each in SigningKey.objects.all() if each.kid != key.kid]
        now = timezone.now()
        assert timeline([key, *others], now).starts_at == timeline(others, now).starts_at

    def test_every_state_has_its_own_pattern(self, signing_keys, admin_client):
        page = admin_client.get(LIST).content.decode()
        for state in ("announced", "retained"):
            assert f'<pattern id="at-jwt-{state}"' in page
            assert re.search(
                rf'<g class="span {state}"><title>[^<]+</title><rect fill="url\(#at-jwt-{state}\)" x=', page
            )
        assert re.search(r'<g class="span signing"><title>[^<]+</title><rect x="[0-9.]+%" y="3" width="[0-9.]+%"', page)

    def test_numbers_are_not_localised(self, signing_keys, admin_client, settings):
        settings.LANGUAGE_CODE = "de"
        page = admin_client.get(LIST, headers={"Accept-Language": "de"}).content.decode()
        assert re.findall(r' (?:x|x1|width)="[0-9]+,', page) == []


class _Inline(HTMLParser):
    """Collects what ``Content-Security-Policy: default-src 'self'`` blocks."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        self.found += [(tag, name) for name in names if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in names and names.get("type") != "application/json"):
            self.found.append((tag, "inline"))
        links = [value or "" for name, value in attrs if name in {"src", "href"}]
        self.found += [(tag, link) for link in links if link.startswith(("javascript:", "data:", "http:", "https:"))]


@pytest.mark.parametrize("address", ["", "{pk}/change/", "{pk}/history/", "{pk}/revoke/", "rotate/", "events"])
def test_no_page_has_anything_inline(address, signing_keys, admin_client):
    rotate_signing_keys(early=["RS256"])
    admin_client.post(f"{LIST}{signing_keys[1].pk}/revoke/", {"reason": "x"})
    pk = signing_keys[0].pk
    page = admin_client.get(
        "/admin/django_at_jwt/signingkeyevent/" if address == "events" else LIST + address.format(pk=pk)
    )
    assert page.status_code == 200
    assert _Inline(page.content.decode()).found == []
