"""Signing keys in the admin: listed, rotated and revoked with permission; never created, edited or deleted."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from types import ModuleType

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import OperationalError, connections
from django.urls import include, path, resolve
from django.utils import timezone
from django.utils.timezone import localtime
from oauth2_provider.models import get_access_token_model

from django_at_jwt import urls
from django_at_jwt.admin.dates import format_instant
from django_at_jwt.admin.signing_key import admin as signing_key_admin
from django_at_jwt.authorization_server.keys import affected_tokens
from django_at_jwt.authorization_server.keys import encryption as protection
from django_at_jwt.authorization_server.keys.rotation import safe_to_purge_after
from django_at_jwt.core.errors import NoSigningKey
from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.models import IssuedToken, SigningKey
from tests.admin.pages import may
from tests.conftest import captured_statements, made_instances
from tests.signing_key_rows import key_in

pytestmark = pytest.mark.django_db

LIST = "/admin/django_at_jwt/signingkey/"


def test_list_and_detail(signing_keys, admin_client):
    page = admin_client.get(LIST)
    assert page.status_code == 200
    for key in signing_keys:
        assert key.kid in page.content.decode()
    assert "announced" in page.content.decode()
    detail = admin_client.get(f"{LIST}{signing_keys[0].pk}/change/")
    assert detail.status_code == 200
    assert signing_keys[0].public_jwk["n"] in detail.content.decode()


def test_shows_when_a_row_is_safe_to_purge_or_that_it_is_not_planned(signing_keys, admin_client):
    first, last = sorted(signing_keys, key=lambda key: key.signing_at)
    assert "not planned yet" not in admin_client.get(f"{LIST}{first.pk}/change/").content.decode()
    assert "not planned yet: the key has no successor" in admin_client.get(f"{LIST}{last.pk}/change/").content.decode()


def rows_of(page):
    """Return the texts of a key's page, by the classes of their rows."""
    found = re.findall(r'<div class="form-row field-(\w+)">.*?<div class="readonly">(.*?)</div>', page, re.DOTALL)
    return {name: unescape(re.sub("<[^>]+>", "", text)).strip() for name, text in found}


def test_page_of_a_revoked_key_agrees_with_the_list(signing_keys, admin_client):
    key = key_in(KeyState.SIGNING)
    planned = format_instant(key.retained_at)
    admin_client.post(f"{LIST}{key.pk}/revoke/", {"reason": "it leaked"})
    key.refresh_from_db()
    revoked = format_instant(key.revoked_at)
    rows = rows_of(admin_client.get(f"{LIST}{key.pk}/change/").content.decode())
    assert rows["retained_at"] == f"{revoked} (revoked; {planned} was planned)"
    assert rows["retired_at"].startswith(f"{revoked} (revoked; ")
    assert rows["safe_to_purge_after"].startswith("never")
    listed = admin_client.get(LIST).content.decode()
    day = f"{localtime(key.revoked_at):%Y-%m-%d}"
    assert re.search(rf'class="field-signs_until">[^/]*>{day}<', listed)


def test_page_says_that_only_the_settings_revoke_a_key(signing_keys, admin_client, settings):
    key = key_in(KeyState.SIGNING)
    settings.AT_JWT = {**settings.AT_JWT, "REVOKED_KIDS": [key.kid]}
    rows = rows_of(admin_client.get(f"{LIST}{key.pk}/change/").content.decode())
    assert rows["revoked_at"].startswith('unknown: only AT_JWT["REVOKED_KIDS"] revokes the key.')
    assert rows["signing_at"] == format_instant(key.signing_at)
    assert rows["retained_at"] == f"unknown (revoked; {format_instant(key.retained_at)} was planned)"
    assert rows["safe_to_purge_after"].startswith("never")
    listed = admin_client.get(f"{LIST}?state=revoked").content.decode()
    for column in ("signs_until", "published_until"):
        assert f'class="field-{column}">unknown<' in listed
    # The next step: to revoke its row, which erases the private key.
    change = f"{LIST}{key.pk}/"
    assert f'href="{change}revoke/"' in admin_client.get(f"{change}change/").content.decode()
    assert admin_client.get(f"{change}revoke/").status_code == 200


@pytest.mark.parametrize("by_setting", [True, False])
def test_page_of_a_key_revoked_before_it_signed_says_never(by_setting, signing_keys, admin_client, settings):
    key = key_in(KeyState.ANNOUNCED)
    if by_setting:
        settings.AT_JWT = {**settings.AT_JWT, "REVOKED_KIDS": [key.kid]}
    else:
        SigningKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    rows = rows_of(admin_client.get(f"{LIST}{key.pk}/change/").content.decode())
    assert (rows["signing_at"], rows["retained_at"]) == ("never", "-")


def test_purge_date_of_a_revoked_key_is_not_in_the_json_either(signing_keys):
    row = key_in(KeyState.SIGNING)
    assert safe_to_purge_after(row) == row.retired_at
    row.revoked_at = timezone.now()
    assert safe_to_purge_after(row) is None


def test_buttons_copy_the_kid_and_the_public_jwk(signing_keys, admin_client):
    page = admin_client.get(f"{LIST}{signing_keys[0].pk}/change/").content.decode()
    for element in ("at-jwt-kid", "at-jwt-jwk"):
        # Without the script, which shows them, the buttons would do nothing.
        assert re.search(rf'<button [^>]*data-copies="{element}"[^>]* hidden>', page)
        assert f'id="{element}"' in page
    assert '<script src="/static/django_at_jwt/copy.js"></script>' in page


@pytest.mark.parametrize("prefix", ["o/", "auth/keys/", None])
def test_links_to_the_jwk_set_where_it_is_mounted(prefix, signing_keys, admin_client, settings):
    settings.ROOT_URLCONF = ModuleType("urls")
    settings.ROOT_URLCONF.urlpatterns = [path("admin/", admin.site.urls)]
    if prefix is not None:
        settings.ROOT_URLCONF.urlpatterns += [path(prefix, include((urls.document_urlpatterns, "elsewhere")))]
    for address in (LIST, f"{LIST}{signing_keys[0].pk}/change/"):
        page = admin_client.get(address).content.decode()
        found = re.findall('<a href="([^"]*)">JWK set</a>', page)
        assert found == ([] if prefix is None else [f"/{prefix}.well-known/jwks.json"])


class TestFilters:
    @pytest.fixture
    def keys(self, keys_made_quickly, signing_keys):
        """Keys in every state, in no order of time."""
        now, day = timezone.now(), timedelta(days=1)
        template = signing_keys[0]
        times = {
            "announced": (-1, 1, None, None, None),
            "withdrawn": (-2, 2, -1, 1, None),
            "signing": (-9, -8, None, None, None),
            "ending": (-9, -8, 1, 2, None),
            "retained": (-9, -8, -1, 1, None),
            "retired": (-9, -8, -2, -1, None),
            "revoked": (-9, -8, 1, 2, -1),
            "revoked late": (-9, -8, -3, -2, -1),
        }
        SigningKey.objects.all().delete()
        names = ("announced_at", "signing_at", "retained_at", "retired_at", "revoked_at")
        for kid, instants in times.items():
            values = {name: None if at is None else now + at * day for name, at in zip(names, instants, strict=True)}
            SigningKey.objects.create(kid=kid, algorithm=template.algorithm, public_jwk=template.public_jwk, **values)

    @pytest.mark.parametrize("value", ["x", "\0"])
    @pytest.mark.parametrize("name", ["state", "algorithm"])
    def test_filter_ignores_unknown_values(self, name, value, admin_client, signing_keys):
        page = admin_client.get(LIST, {name: value}, follow=True)
        assert page.status_code == 200
        assert len(page.context["cl"].result_list) == SigningKey.objects.count() > 0

    @pytest.mark.parametrize("state", KeyState)
    def test_state_is_that_of_the_rows(self, state, keys, admin_client, settings):
        settings.AT_JWT = {**settings.AT_JWT, "REVOKED_KIDS": ["ending"]}
        expected = {key.kid for key in SigningKey.objects.all() if key.state_at(timezone.now()) is state}
        assert expected
        page = admin_client.get(f"{LIST}?state={state}")
        assert {key.kid for key in page.context["cl"].result_list} == expected
        assert admin_client.get(f"{LIST}?state={state}&_facets=True").status_code == 200

    @pytest.mark.parametrize("revoked", [[], ["retired"]])
    def test_not_retired_is_every_other_state(self, revoked, keys, settings):
        settings.AT_JWT = {**settings.AT_JWT, "REVOKED_KIDS": revoked}
        now = timezone.now()
        expected = {key.kid for key in SigningKey.objects.all() if key.state_at(now) is not KeyState.RETIRED}
        assert ("retired" in expected) == bool(revoked)
        assert {key.kid for key in SigningKey.objects.filter(SigningKey.not_retired(now))} == expected

    def test_keys_can_be_filtered_by_algorithm(self, keys, admin_client):
        SigningKey.objects.filter(kid="announced").update(algorithm="RS256")
        page = admin_client.get(f"{LIST}?algorithm=RS256")
        assert [key.kid for key in page.context["cl"].result_list] == ["announced"]
        assert [choice["display"] for choice in page.context["cl"].filter_specs[1].choices(page.context["cl"])] == [
            "All",
            "ES256",
            "RS256",
        ]


def test_list_reads_no_row_of_a_retired_key_for_the_timeline(signing_keys, admin_client, monkeypatch):
    now = timezone.now()
    template = signing_keys[0]
    for number in range(40):
        SigningKey.objects.create(
            kid=f"retired-{number}",
            algorithm=template.algorithm,
            public_jwk=template.public_jwk,
            announced_at=now - timedelta(days=9),
            signing_at=now - timedelta(days=8),
            retained_at=now - timedelta(days=2),
            retired_at=now - timedelta(days=1),
        )
    # The process reads all keys for its key ring, from time to time.
    monkeypatch.setattr(signing_key_admin, "unopenable_keys", list)
    with made_instances(SigningKey) as made:
        page = admin_client.get(LIST).content.decode()
    assert "40 retired or revoked keys without live tokens are not shown." in page
    # Those of a page, and the two of the timeline.
    assert len(made) == 30 + 2


def test_key_revoked_before_it_signed_never_signs(signing_keys, admin_client):
    announced = max(signing_keys, key=lambda key: key.signing_at)
    cells = '<td class="field-signs_from">{}</td><td class="field-signs_until">-</td>'.format
    assert cells("never") not in admin_client.get(LIST).content.decode()
    SigningKey.objects.filter(kid=announced.kid).update(revoked_at=timezone.now())
    assert admin_client.get(LIST).content.decode().count(cells("never")) == 1


def test_key_without_live_tokens_costs_no_query(signing_keys, admin_client):
    now = timezone.now()

    def counts():
        with captured_statements() as statements:
            assert admin_client.get(LIST).status_code == 200
        return sum(IssuedToken._meta.db_table in each or "first_token_kid" in each for each in statements)

    # One for first tokens, and one for the others.
    assert counts() == 2
    begun = now - timedelta(days=9)
    retained = {"announced_at": begun, "signing_at": begun, "retained_at": begun, "retired_at": now + timedelta(days=9)}
    for last, expected in ((now + timedelta(hours=1), 1), (now - timedelta(hours=1), 0), (None, 0)):
        SigningKey.objects.update(last_token_expires_at=last, **retained)
        assert counts() == 2 * expected * len(signing_keys)
    SigningKey.objects.update(last_token_expires_at=now + timedelta(hours=1), revoked_at=now)
    assert counts() == 0


def test_revoked_key_has_no_live_tokens(signing_keys, service, admin_client):
    service.token("client_credentials")
    key = key_in(KeyState.SIGNING)
    page = f"{LIST}{key.pk}/change/"
    assert "Live tokens (at most): 1 " in text_of(admin_client.get(page))
    SigningKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    assert "Live tokens (at most): 0 " in text_of(admin_client.get(page))


def test_confirmation_pages_show_the_state_and_the_time_zone(signing_keys, admin_client, settings):
    settings.TIME_ZONE = "Pacific/Auckland"
    for state in (KeyState.SIGNING, KeyState.ANNOUNCED):
        page = admin_client.get(f"{LIST}{key_in(state).pk}/revoke/").content.decode()
        assert f'<span class="at-jwt-state at-jwt-{state}">{state}</span>' in page
    for page in (admin_client.get(f"{LIST}rotate/").content.decode(), admin_client.get(LIST).content.decode()):
        assert re.search(r"\d\d:\d\d(:\d\d)? NZ[SD]T", page)


def test_revoked_key_signed_and_was_published_until_its_revocation(signing_keys, admin_client):
    revoked_at = timezone.now() - timedelta(days=400)
    begun = {"announced_at": revoked_at - timedelta(days=9), "signing_at": revoked_at - timedelta(days=2)}
    SigningKey.objects.filter(pk=signing_keys[0].pk).update(revoked_at=revoked_at, **begun)
    page = admin_client.get(LIST).content.decode()
    day = f"{localtime(revoked_at):%Y-%m-%d}"
    assert all(
        re.search(rf'class="field-{column}">[^/]*>{day}<', page) for column in ("signs_until", "published_until")
    )


def test_nothing_can_be_changed(signing_keys, admin_client):
    pk = signing_keys[0].pk
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(f"{LIST}{pk}/change/", {"kid": "x"}).status_code == 403
    assert admin_client.post(f"{LIST}{pk}/delete/", {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
    admin_client.post(LIST, action)
    assert SigningKey.objects.count() == len(signing_keys)


def test_permission_is_needed(signing_keys, client, staff):
    assert client.get(LIST).status_code == 403
    may(staff, "view_signingkey")
    assert client.get(LIST).status_code == 200


@pytest.mark.parametrize(
    "lookup", ["private_jwe__startswith=e", "private_jwe__contains=.", "private_jwe=x", "revocation_reason__regex=x"]
)
def test_no_filter_reveals_the_private_key(lookup, signing_keys, client, staff):
    may(staff, "view_signingkey")
    assert client.get(f"{LIST}?{lookup}").status_code == 400
    assert client.get(f"{LIST}?q={signing_keys[0].kid}&o=1").status_code == 200


def test_every_date_has_one_format(signing_keys, admin_client, settings):
    settings.TIME_ZONE = "Pacific/Auckland"
    key = signing_keys[0]
    date = rf"{localtime(key.signing_at):%Y-%m-%d} \d\d:\d\d:\d\d NZ[SD]T"
    listed = re.sub("<[^>]+>", "", admin_client.get(LIST).content.decode())
    pages = [admin_client.get(f"{LIST}{key.pk}/change/").content.decode(), listed]
    assert [page for page in pages if not re.search(date, page)] == []
    assert not re.search(r"[ap]\.m\.|midnight|noon", pages[0])
    # A column without a field of the form keeps the help text of the model.
    assert str(SigningKey._meta.get_field("last_token_expires_at").help_text) in pages[0]


def text_of(page):
    """Return what a page says, without markup."""
    return " ".join(re.sub("<[^>]+>", "", page.content.decode()).split()).replace("\xa0", " ")


class TestRotate:
    def test_shows_the_changes_before_it_applies_them(self, signing_keys, admin_client):
        before = list(SigningKey.objects.values())
        page = admin_client.get(f"{LIST}rotate/").content.decode()
        assert key_in(KeyState.ANNOUNCED).kid in page
        assert "Schedule early rotation" in page
        assert list(SigningKey.objects.values()) == before

    def test_is_applied_and_recorded_in_the_history(self, signing_keys, admin_client):
        answer = admin_client.post(f"{LIST}rotate/", follow=True)
        assert "Early rotation scheduled." in answer.content.decode()
        announced = key_in(KeyState.ANNOUNCED)
        assert announced.signing_at == announced.announced_at + timedelta(days=7)
        # Its successor is announced at the same time.
        assert SigningKey.objects.count() == len(signing_keys) + 1
        assert {entry.object_id for entry in LogEntry.objects.all()} == {
            str(key.pk) for key in SigningKey.objects.all()
        }
        again = admin_client.get(f"{LIST}rotate/").content.decode()
        assert "nothing to change" in again
        assert "There was nothing to change." in admin_client.post(f"{LIST}rotate/", follow=True).content.decode()

    def test_the_next_takeover_is_shown_before_and_after(self, signing_keys, admin_client):
        announced = key_in(KeyState.ANNOUNCED)
        planned = format_instant(announced.signing_at)
        early = format_instant(announced.announced_at + timedelta(days=7))
        assert f"takes over at {planned}, in" in text_of(admin_client.get(LIST))
        page = text_of(admin_client.get(f"{LIST}rotate/"))
        assert re.search(rf"{announced.kid} takes over at {early}, in 6.days, 23.hours, instead of {planned}\.", page)
        done = text_of(admin_client.post(f"{LIST}rotate/", follow=True))
        assert f"Early rotation scheduled. RS256: key {announced.kid} takes over at {early}." in done
        assert f"takes over at {early}, in" in done
        again = text_of(admin_client.get(f"{LIST}rotate/"))
        assert f"{announced.kid} takes over at {early}, in" in again
        assert "instead of" not in again

    def test_takeover_within_a_minute_is_not_in_0_minutes(self, signing_keys, admin_client):
        long_ago = timezone.now() - timedelta(days=30)
        SigningKey.objects.filter(pk=key_in(KeyState.ANNOUNCED).pk).update(announced_at=long_ago)
        assert ", within a minute, instead of" in text_of(admin_client.get(f"{LIST}rotate/"))

    def test_first_keys_are_shown_without_a_kid(self, db, keys_made_quickly, admin_client):
        page = admin_client.get(f"{LIST}rotate/")
        assert "ES256: a new key takes over at" in text_of(page)
        assert "<code>a new key" not in page.content.decode()

    def test_algorithm_without_a_successor_is_pointed_out(self, signing_keys, admin_client):
        SigningKey.objects.filter(pk=key_in(KeyState.ANNOUNCED).pk).delete()
        assert "No key is announced. Run manage.py rotate_signing_keys." in text_of(admin_client.get(LIST))

    def test_reason_is_checked_before_anything_is_changed(self, signing_keys, admin_client):
        before = list(SigningKey.objects.values())
        page = admin_client.post(f"{LIST}rotate/", {"reason": "x" * 201})
        assert "at most 200 characters" in page.content.decode()
        assert list(SigningKey.objects.values()) == before

    def test_history_is_translated(self, signing_keys, admin_client, monkeypatch):
        monkeypatch.setattr(signing_key_admin, "gettext", lambda text: f"auf Deutsch: {text}")
        admin_client.post(f"{LIST}rotate/")
        messages = {entry.change_message for entry in LogEntry.objects.all()}
        assert messages == {"auf Deutsch: Created by a rotation.", "auf Deutsch: Rescheduled by a rotation."}

    def test_action_leads_to_the_page(self, signing_keys, admin_client):
        action = {"action": "rotate_selected", "_selected_action": [signing_keys[0].pk]}
        assert admin_client.post(LIST, action)["Location"] == f"{LIST}rotate/?algorithm=RS256"

    def test_page_needs_the_permission_to_rotate(self, signing_keys, client, staff):
        may(staff, "view_signingkey", "revoke_signingkey")
        assert client.get(f"{LIST}rotate/").status_code == 403
        assert client.post(f"{LIST}rotate/").status_code == 403
        assert "Schedule early rotation" not in client.get(LIST).content.decode()
        may(staff, "rotate_signingkey")
        assert client.get(f"{LIST}rotate/").status_code == 200
        assert "Schedule early rotation" in client.get(LIST).content.decode()

    @pytest.mark.parametrize("address", ["rotate/", "{}/revoke/"])
    @pytest.mark.parametrize("method", ["get", "post"])
    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (NoSigningKey("a key-encryption key is not set any more"), "a key-encryption key is not set any more"),
            (OperationalError("the database is locked"), "the database is locked"),
            (TimeoutError("another change has been running"), "another change has been running"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_error_that_prevents_a_change_is_shown(
        self, address, method, error, said, signing_keys, admin_client, monkeypatch
    ):
        def fail(*_args, **_options):
            raise error

        monkeypatch.setattr(signing_key_admin, "rotate_signing_keys", fail)
        monkeypatch.setattr(signing_key_admin, "revoke_signing_key", fail)
        address = LIST + address.format(key_in(KeyState.SIGNING).pk)
        page = getattr(admin_client, method)(address, {"reason": "x"}, follow=True)
        assert page.redirect_chain == [(LIST, 302)]
        assert said in page.content.decode()
        assert not LogEntry.objects.exists()

    def test_lost_key_encryption_key_is_a_message(self, signing_keys, admin_client, settings, monkeypatch):
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["RS256", "ES256"]}
        monkeypatch.setattr(protection.JWE, "add_recipient", _fail_to_encrypt)
        page = admin_client.post(f"{LIST}rotate/", follow=True)
        assert "The signing keys were not rotated: signing key" in page.content.decode()
        assert SigningKey.objects.count() == len(signing_keys)

    def test_no_database_wraps_the_request_in_a_transaction(self, signing_keys):
        # A change of the keys takes a database lock, which must be released after the commit.
        for address in ("rotate/", f"{signing_keys[0].pk}/revoke/"):
            assert resolve(LIST + address).func._non_atomic_requests >= set(connections)


def _fail_to_encrypt(*_args, **_options):
    raise ValueError("it cannot be encrypted")


class TestRevoke:
    def test_shows_affected_clients_before_it_revokes(self, signing_keys, admin_client, service):
        service.token("client_credentials")
        key = key_in(KeyState.SIGNING)
        page = admin_client.get(f"{LIST}{key.pk}/revoke/").content.decode()
        assert "client-credentials client: 1" in page
        assert "1 live access token (users: 0) was signed by this key." in page
        assert "At most" not in page
        # The way back to the key: a part of the path, and the button.
        assert page.count(f'href="{LIST}{key.pk}/change/"') == 2
        assert key_in(KeyState.ANNOUNCED).kid in page
        key.refresh_from_db()
        assert key.revoked_at is None
        page = admin_client.get(f"{LIST}{key_in(KeyState.ANNOUNCED).pk}/revoke/").content.decode()
        assert "No live access token of this key is stored." in page
        assert key.private_jwe

    def test_many_tokens_are_not_counted_one_by_one_unless_asked(
        self, signing_keys, admin_client, service, monkeypatch
    ):
        monkeypatch.setattr(affected_tokens, "COUNTED_AT_ONCE", 2)
        tokens, key = get_access_token_model()._meta.db_table, key_in(KeyState.SIGNING)

        def shown(query=""):
            with captured_statements() as statements:
                page = admin_client.get(f"{LIST}{key.pk}/revoke/{query}").content.decode()
            return page, any(tokens in statement for statement in statements)

        for _ in range(2):
            service.token("client_credentials")
        page, reads_tokens = shown()
        assert ("2 live access tokens (users: 0) were signed by this key." in page, reads_tokens) == (True, True)
        service.token("client_credentials")
        page, reads_tokens = shown()
        assert "At most 3 stored access tokens of this key are live." in page
        assert '<a href="?exact">Count them by client and user</a>' in page
        assert "The last of them would expire at" in page
        assert ("client-credentials client:" in page, reads_tokens) == (False, False)
        page, reads_tokens = shown("?exact")
        assert "3 live access tokens (users: 0) were signed by this key." in page
        assert ("client-credentials client: 3" in page, reads_tokens) == (True, True)
        with captured_statements() as statements:
            admin_client.post(f"{LIST}{key.pk}/revoke/", {"reason": "x"})
        assert not any(tokens in statement for statement in statements)

    def test_is_applied_and_recorded_in_the_history(self, signing_keys, admin_client):
        key = key_in(KeyState.SIGNING)
        answer = admin_client.post(f"{LIST}{key.pk}/revoke/", {"reason": "on a lost laptop"}, follow=True)
        assert key.kid in answer.content.decode()
        key.refresh_from_db()
        assert key.revoked_at is not None
        assert key.private_jwe == ""
        assert key.revocation_reason == "on a lost laptop"
        # Django's list of recent actions; the history of all three keys is tested with those of the commands.
        assert LogEntry.objects.get().change_message == "Revoked: on a lost laptop"

    def test_reason_is_needed(self, signing_keys, admin_client):
        key = key_in(KeyState.SIGNING)
        page = admin_client.post(f"{LIST}{key.pk}/revoke/", {})
        assert page.status_code == 200
        text = page.content.decode()
        assert '<p class="errornote">Please correct the error below.</p>' in text
        assert 'id="id_reason_error"><li>This field is required.' in text
        [tag] = re.findall(r'<input[^>]*name="reason"[^>]*>', text)
        assert 'aria-invalid="true"' in tag
        assert re.search('aria-describedby="[^"]*id_reason_error"', tag)
        key.refresh_from_db()
        assert key.revoked_at is None

    def test_only_usable_key_is_refused_with_a_message(self, signing_keys, admin_client):
        key = key_in(KeyState.SIGNING)
        SigningKey.objects.exclude(pk=key.pk).delete()
        page = admin_client.post(f"{LIST}{key.pk}/revoke/", {"reason": "x"}, follow=True)
        assert "only usable key for RS256. Run manage.py rotate_signing_keys first." in page.content.decode()
        key.refresh_from_db()
        assert key.revoked_at is None

    def test_deleted_key(self, signing_keys, admin_client):
        assert (
            "This signing key no longer exists"
            in admin_client.get(f"{LIST}99999/revoke/", follow=True).content.decode()
        )

    def test_action_takes_exactly_one_key(self, signing_keys, admin_client):
        pks = [key.pk for key in signing_keys]
        one = admin_client.post(LIST, {"action": "revoke_selected", "_selected_action": pks[:1]})
        assert one["Location"] == f"{LIST}{pks[0]}/revoke/"
        both = admin_client.post(LIST, {"action": "revoke_selected", "_selected_action": pks}, follow=True)
        assert "exactly one key" in both.content.decode()

    def test_page_needs_the_permission_to_revoke(self, signing_keys, client, staff):
        key = key_in(KeyState.SIGNING)
        may(staff, "view_signingkey", "rotate_signingkey")
        assert client.get(f"{LIST}{key.pk}/revoke/").status_code == 403
        assert client.post(f"{LIST}{key.pk}/revoke/", {"reason": "x"}).status_code == 403
        assert "revoke/" not in client.get(f"{LIST}{key.pk}/change/").content.decode()
        may(staff, "revoke_signingkey")
        assert "revoke/" in client.get(f"{LIST}{key.pk}/change/").content.decode()
        assert client.get(f"{LIST}{key.pk}/revoke/").status_code == 200
