"""Resource servers in the admin: what the form accepts and rejects, and what the list shows."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import translation

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.models import ResourceServer
from tests.conftest import captured_statements

from .pages import confirm, fill_in, is_shown, may

pytestmark = pytest.mark.django_db

LIST = "admin:django_at_jwt_resourceserver_changelist"
ADD = "admin:django_at_jwt_resourceserver_add"
MAIL = "https://mail.example.com/"
FORM = {"identifier": MAIL, "name": "Mail", "enabled": "on", "open_to_all_clients": "on", "token_format": "at+jwt"}


def save(client, address, sent):
    """Submit a form, and confirm the review page, if any."""
    page = client.post(address, sent)
    return confirm(client, page) if is_shown(page) else page


def errors(page):
    assert page.status_code == 200
    return {field: " ".join(messages) for field, messages in page.context["adminform"].form.errors.items()}


def test_api_can_be_registered(admin, service):
    sent = {
        **FORM,
        "description": "Sends mail.",
        "scopes": "  read   Read your mail \r\n\r\nwrite\r\n",
        "open_to_all_clients": "",
        "clients": [service.application.client_id],
        "introspection_clients": [service.application.client_id],
        "isolated": "on",
        "lifetime": "300",
        "algorithm": "RS256",
    }
    assert save(admin, reverse(ADD), sent).status_code == 302
    row = ResourceServer.objects.get()
    assert (row.scopes, row.clients) == ({"read": "Read your mail", "write": ""}, [service.application.client_id])
    server = registry.current().by_identifier[MAIL]
    assert (server.lifetime, server.algorithm, server.isolated) == (300, "RS256", True)
    assert server.client_ids == server.introspection_clients == {service.application.client_id}
    assert LogEntry.objects.get().get_change_message() == "Added."


@pytest.mark.skipif("ML-DSA-44" not in ALGORITHMS, reason="this jwcrypto or cryptography has no ML-DSA")
def test_size_of_post_quantum_tokens_is_in_the_choice(admin, settings):
    settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["RS256", "ML-DSA-44"]}
    page = admin.get(reverse(ADD)).content.decode()
    assert '<option value="ML-DSA-44">ML-DSA-44 (tokens of about 3726 bytes)</option>' in page
    assert '<option value="RS256">RS256</option>' in page


def test_form_round_trips(admin, service):
    scopes = {"read": "Read your mail", "write": ""}
    row = ResourceServer.objects.create(identifier=MAIL, name="Mail", scopes=scopes, clients=["gone"], lifetime=5)
    address = reverse("admin:django_at_jwt_resourceserver_change", args=[row.pk])
    page = admin.get(address)
    assert "gone (no such client)" in page.content.decode()
    form = page.context["adminform"].form
    shown = {name: form[name].value() for name in form.fields}
    assert shown["scopes"] == "read Read your mail\nwrite"
    sent = {name: value for name, value in shown.items() if value not in (None, False)}
    assert save(admin, address, sent).status_code == 302
    row.refresh_from_db()
    assert (row.scopes, row.clients, row.lifetime) == (scopes, ["gone"], 5)
    assert LogEntry.objects.get().get_change_message() == "No fields changed."


def test_scopes_of_the_site_are_ticked_and_described(admin, settings):
    page = admin.get(reverse(ADD)).content.decode()
    # Also those that only other APIs name.
    settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {settings.REPORTS: {"scopes": {"export": "Download"}}}}
    assert re.search(
        r'name="scopes-text-export" value="" placeholder="Download"', admin.get(reverse(ADD)).content.decode()
    )
    assert re.search(r'name="scopes-text-reports:read" value="" placeholder="Read reports"', page)
    chosen = {
        "scopes-chosen": ["read", "reports:read"],
        "scopes-text-read": "Read  your mail",
        "scopes-text-write": "x",
    }
    assert save(admin, reverse(ADD), {**FORM, **chosen, "scopes": "openid Log in to mail"}).status_code == 302
    row = ResourceServer.objects.get()
    assert row.scopes == {"read": "Read your mail", "reports:read": "", "openid": "Log in to mail"}
    address = reverse("admin:django_at_jwt_resourceserver_change", args=[row.pk])
    sent = fill_in(admin, address)
    page = admin.get(address).content.decode()
    assert page.index('value="reports:read"') < page.index('value="write"')
    # Not every database keeps the order.
    assert sorted(sent["scopes-chosen"]) == ["openid", "read", "reports:read"]
    assert sent["scopes-text-openid"] == ["Log in to mail"]
    # A line replaces the description of a ticked scope.
    sent = fill_in(admin, address, **{"scopes-chosen": ["read"], "scopes": "read Read mail"})
    assert save(admin, address, sent).status_code == 302
    row.refresh_from_db()
    assert row.scopes == {"read": "Read mail"}
    assert save(admin, address, fill_in(admin, address, **{"scopes-chosen": None})).status_code == 302
    row.refresh_from_db()
    assert row.scopes is None


def test_scope_is_added_if_the_backend_reads_resource_servers(admin, settings):
    new = {**FORM, "scopes": "mail:send Send mail"}
    assert "Unknown scope: mail:send." in errors(admin.post(reverse(ADD), new))["scopes"]
    backend = "django_at_jwt.scopes.ResourceServerScopes"
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES_BACKEND_CLASS": backend}
    assert save(admin, reverse(ADD), new).status_code == 302
    assert ResourceServer.objects.get().scopes == {"mail:send": "Send mail"}
    assert 'name="scopes-text-mail:send"' in admin.get(reverse(ADD)).content.decode()


def test_scopes_are_shown_again_with_an_error(admin):
    chosen = {"scopes-chosen": ["read"], "scopes-text-read": "Read <mail>", "scopes": "no\\scope A text"}
    page = admin.post(reverse(ADD), {**FORM, **chosen})
    assert "Invalid scope" in errors(page)["scopes"]
    text = page.content.decode()
    assert 'value="read" checked' in text
    assert 'name="scopes-text-read" value="Read &lt;mail&gt;"' in text
    [tag] = re.findall(r'<textarea name="scopes"[^>]*>', text)
    assert 'aria-invalid="true"' in tag
    assert 'aria-describedby="id_scopes_helptext id_scopes_error"' in tag
    assert {"id_scopes", "id_scopes_helptext", "id_scopes_error"} <= {*re.findall(r'id="([^"]+)"', text)}
    assert "no\\scope A text</textarea>" in text


def test_without_scopes_it_has_those_that_no_other_api_names(admin):
    save(admin, reverse(ADD), FORM)
    assert ResourceServer.objects.get().scopes is None
    assert "those that no other API names" in admin.get(reverse(LIST)).content.decode()


@pytest.mark.parametrize(
    ("sent", "field", "expected"),
    [
        ({"identifier": "/api/"}, "identifier", "absolute URI"),
        ({"identifier": f"{MAIL}#part"}, "identifier", "without a fragment"),
        ({"identifier": "https://reports.example.com/"}, "identifier", "already declared in"),
        ({"name": ""}, "name", "required"),
        ({"scopes": "raed Read"}, "scopes", "has read, write, reports:read"),
        ({"scopes": "read Read\nread Again"}, "scopes", "Duplicate scope: read"),
        ({"scopes": 'quo"te'}, "scopes", "Invalid scope"),
        ({"scopes": "read a\x00b"}, "scopes", "NUL characters"),
        ({"lifetime": "0"}, "lifetime", "at least one second"),
        ({"lifetime": "-5"}, "lifetime", "at least one second"),
        ({"lifetime": "an hour"}, "lifetime", "Enter a duration, such as “1 hour”"),
        ({"lifetime": "1.5"}, "lifetime", "Enter a duration"),
        ({"lifetime": "25000 days"}, "lifetime", "at most 68 years"),
        ({"lifetime": "9" * 20}, "lifetime", "Enter a duration"),
        ({"lifetime": f"{'9' * 30} days"}, "lifetime", "Enter a duration"),
        ({"algorithm": "ES256"}, "algorithm", "not one of the available choices"),
        ({"token_format": "jwt"}, "token_format", "not one of the available choices"),
        ({"clients": ["nobody"]}, "clients", "not one of the available choices"),
        ({"is_default": "on"}, "is_default", "is another API"),
        ({"is_default": "on", "isolated": "on"}, "is_default", "must request an isolated API by name"),
        ({"is_default": "on", "enabled": ""}, "is_default", "must be enabled"),
    ],
)
def test_errors_are_at_the_field_and_say_what_is_wrong(admin, sent, field, expected):
    told = errors(save(admin, reverse(ADD), {**FORM, **sent}))
    assert expected in told[field]
    assert not ResourceServer.objects.exists()


def test_review_page_shows_scopes_in_words(admin):
    review = admin.post(reverse(ADD), {**FORM, "scopes": "read Read your mail\nwrite"})
    lines = {line["label"]: line["after"] for line in review.context["rows"][0]["lines"]}
    assert lines["scopes"] == "read (Read your mail), write"


def test_lifetimes_are_shown_and_read_in_words(admin):
    assert save(admin, reverse(ADD), {**FORM, "lifetime": "90 minutes"}).status_code == 302
    row = ResourceServer.objects.get()
    assert row.lifetime == 5400
    address = reverse("admin:django_at_jwt_resourceserver_change", args=[row.pk])
    assert 'value="1 hour 30 minutes"' in admin.get(address).content.decode()
    # In other words, it is no change.
    assert admin.post(address, fill_in(admin, address, lifetime="1h 30 min")).status_code == 302
    assert LogEntry.objects.first().get_change_message() == "No fields changed."
    review = admin.post(address, fill_in(admin, address, lifetime="PT1H"))
    assert {line["label"]: (line["before"], line["after"]) for line in review.context["rows"][0]["lines"]} == {
        "lifetime": ("1 hour 30 minutes", "1 hour")
    }
    assert ">at+jwt, 1 hour 30 minutes<" in admin.get(reverse(LIST)).content.decode()


def test_history_shows_the_values_before_and_after(admin):
    row = ResourceServer.objects.create(identifier=MAIL, name="Mail", scopes={"read": ""}, open_to_all_clients=True)
    address = reverse("admin:django_at_jwt_resourceserver_change", args=[row.pk])
    sent = fill_in(admin, address, identifier=f"{MAIL}v2", lifetime="1 hour", enabled=None)
    assert confirm(admin, admin.post(address, sent)).status_code == 302
    assert LogEntry.objects.get().get_change_message() == (
        f"Identifier changed from “{MAIL}” to “{MAIL}v2”. Lifetime changed from “(none)” to “1 hour”. "
        "Enabled changed from “yes” to “no”."
    )


def test_enabling_an_api_again_warns_that_its_tokens_stay_revoked(admin):
    row = ResourceServer.objects.create(identifier=MAIL, name="Mail", enabled=False, open_to_all_clients=True)
    address = reverse("admin:django_at_jwt_resourceserver_change", args=[row.pk])
    text = "Access tokens that were issued for Mail before it was disabled stay revoked."
    assert ("warning", text) in messages_after_saving(admin, address, {"enabled": "on"})


def test_lifetimes_are_translated(admin):
    row = ResourceServer.objects.create(identifier=MAIL, name="Mail", lifetime=7200)
    address = reverse("admin:django_at_jwt_resourceserver_change", args=[row.pk])
    with translation.override("de"):
        assert 'value="2 Stunden"' in admin.get(address).content.decode()
        assert save(admin, address, fill_in(admin, address, lifetime="3 stunden, 1 Tag")).status_code == 302
        row.refresh_from_db()
        assert row.lifetime == 97200
        assert save(admin, address, fill_in(admin, address, lifetime="5 hours")).status_code == 302
    row.refresh_from_db()
    assert row.lifetime == 18000


def test_lifetime_beyond_the_retention(admin, settings):
    settings.AT_JWT = {**settings.AT_JWT, "RETENTION": 7200}
    assert "would outlive their keys" in errors(save(admin, reverse(ADD), {**FORM, "lifetime": "7171"}))["lifetime"]
    assert save(admin, reverse(ADD), {**FORM, "lifetime": "7170"}).status_code == 302


def test_same_identifier_twice(admin):
    save(admin, reverse(ADD), FORM)
    assert "already exists" in errors(save(admin, reverse(ADD), FORM))["identifier"]


def test_another_default(admin, settings):
    settings.AT_JWT = {}
    other = ResourceServer.objects.create(identifier="https://other.example.com/", name="Other", is_default=True)
    assert save(admin, reverse(ADD), {**FORM, "is_default": "on"}).status_code == 302
    other.refresh_from_db()
    assert not other.is_default
    assert registry.current().default == MAIL


def messages_after_saving(admin, address, sent):
    """Save, and return the messages of the next page."""
    answer = admin.get(save(admin, address, fill_in(admin, address, **sent))["Location"])
    return [(message.level_tag, str(message)) for message in answer.context["messages"]]


def test_api_without_clients_is_pointed_out(admin, service):
    sent = {name: value for name, value in FORM.items() if name != "open_to_all_clients"}
    page = admin.get(reverse(ADD))
    assert page.context["adminform"].form["open_to_all_clients"].initial is False
    [(_level, text)] = [each for each in messages_after_saving(admin, reverse(ADD), sent) if each[0] == "warning"]
    assert text == 'No client gets tokens for Mail yet. Choose its clients, or tick "open to all clients".'
    assert '<td class="field-allowed_clients">none</td>' in admin.get(reverse(LIST)).content.decode()
    row = ResourceServer.objects.get()
    address = reverse("admin:django_at_jwt_resourceserver_change", args=[row.pk])
    chosen = {**sent, "clients": [service.application.client_id]}
    assert [level for level, _ in messages_after_saving(admin, address, chosen)] == ["success"]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({"open_to_registered_clients": "on"}, "self-registered"),
        ({"open_to_all_clients": "on", "open_to_registered_clients": "on"}, "all, self-registered"),
    ],
)
def test_api_for_clients_that_register_themselves(sent, shown, admin):
    page = admin.get(reverse(ADD))
    assert page.context["adminform"].form["open_to_registered_clients"].initial is False
    own = {name: value for name, value in FORM.items() if name != "open_to_all_clients"}
    assert [level for level, _ in messages_after_saving(admin, reverse(ADD), {**own, **sent})] == ["success"]
    assert f'<td class="field-allowed_clients">{shown}</td>' in admin.get(reverse(LIST)).content.decode()
    row = ResourceServer.objects.get()
    assert row.open_to_registered_clients
    assert row.registered.registered_clients


def test_list_marks_one_default_only(admin, settings):
    settings.AT_JWT = {}
    for identifier in (MAIL, "https://first.example.com/"):
        ResourceServer.objects.create(identifier=identifier, name=identifier)
    ResourceServer.objects.update(is_default=True)
    registry.clear()
    changelist = admin.get(reverse(LIST)).context["cl"]
    shown = {row.identifier: changelist.model_admin.default(row) for row in changelist.result_list}
    assert shown == {MAIL: "yes", "https://first.example.com/": "-"}


def test_list_shows_rows_and_settings(admin, service):
    ResourceServer.objects.create(
        identifier=MAIL, name="Mail", scopes={"read": ""}, open_to_all_clients=False, clients=["a", "b"], lifetime=60
    )
    text = admin.get(reverse(LIST)).content.decode()
    assert "Declared in the settings" in text
    for expected in (
        "https://reports.example.com/",
        "Default: https://api.example.com/ (AT_JWT",
        "<code>read</code>",
        ">at+jwt, 1 minute<",
    ):
        assert expected in text


def test_list_shows_the_default_of_the_settings(admin, settings):
    settings.AT_JWT = {"DEFAULT_RESOURCE": settings.API}
    for identifier in (settings.API, "https://other.example.com/"):
        ResourceServer.objects.create(identifier=identifier, name=identifier)
    changelist = admin.get(reverse(LIST)).context["cl"]
    shown = {row.identifier: changelist.model_admin.default(row) for row in changelist.result_list}
    assert shown == {settings.API: "yes", "https://other.example.com/": "-"}
    # The box of that row is not ticked.
    assert f'AT_JWT["DEFAULT_RESOURCE"] sets the default: {settings.API}.' in unescape(
        admin.get(reverse(ADD)).content.decode()
    )


def test_list_shows_no_algorithm_for_opaque_tokens(admin):
    for token_format in ("at+jwt", "opaque"):
        identifier = f"https://{token_format.partition('+')[0]}.example.com/"
        ResourceServer.objects.create(identifier=identifier, name="x", token_format=token_format, algorithm="RS256")
    changelist = admin.get(reverse(LIST)).context["cl"]
    assert [changelist.model_admin.tokens(row) for row in changelist.result_list] == ["at+jwt RS256", "opaque"]


def test_list_without_declared_resource_servers(admin, settings):
    settings.AT_JWT = {}
    assert "Declared in the settings" not in admin.get(reverse(LIST)).content.decode()


def test_empty_list_says_how_to_start(admin, settings):
    for declared, expected in (
        (settings.AT_JWT, "No resource servers yet, except those declared in the settings."),
        ({"DEFAULT_RESOURCE": settings.API}, f"No resource servers yet: all tokens are for {settings.API}."),
        ({}, "No resource servers yet: no tokens are issued until one is the default."),
    ):
        settings.AT_JWT = declared
        text = admin.get(reverse(LIST)).content.decode()
        assert expected in text
        assert f'<a href="{reverse(ADD)}">Add a resource server</a>' in text
    ResourceServer.objects.create(identifier=MAIL, name="Mail")
    assert "No resource servers yet" not in admin.get(reverse(LIST)).content.decode()
    assert "No resource servers yet" not in admin.get(reverse(LIST), {"isolated__exact": "1"}).content.decode()


def test_list_costs_the_same_statements_for_any_number_of_rows(admin, monkeypatch):
    # The registry is read once, however slow this machine is.
    monkeypatch.setattr("django_at_jwt.authorization_server.row_cache._LEAST_AGE", 3600)

    def statements(rows):
        for number in range(rows):
            ResourceServer.objects.create(identifier=f"{MAIL}{rows}/{number}", name="Mail", clients=["a"])
        admin.get(reverse(LIST))
        with captured_statements() as captured:
            assert admin.get(reverse(LIST)).context["cl"].result_count >= rows
        return len(captured)

    assert statements(2) == statements(20)


def test_pages_need_the_permissions_of_the_model(client, staff):
    assert client.get(reverse(LIST)).status_code == 403
    may(staff, "view_resourceserver")
    assert client.get(reverse(LIST)).status_code == 200
    assert save(client, reverse(ADD), FORM).status_code == 403
    assert not ResourceServer.objects.exists()


def test_page_of_a_row_that_may_only_be_viewed(client, staff, settings):
    settings.AT_JWT = {"DEFAULT_RESOURCE": settings.API}
    row = ResourceServer.objects.create(identifier=MAIL, name="Mail")
    may(staff, "view_resourceserver")
    page = client.get(reverse("admin:django_at_jwt_resourceserver_change", args=[row.pk]))
    assert page.status_code == 200
    assert MAIL in page.content.decode()


def test_markup_is_escaped(admin):
    ResourceServer.objects.create(identifier=MAIL, name="<b>x</b>", scopes={"read": "<i>"}, clients=["<u>"])
    text = admin.get(reverse(LIST)).content.decode()
    assert "<b>x</b>" not in text
    page = admin.get(reverse("admin:django_at_jwt_resourceserver_change", args=[ResourceServer.objects.get().pk]))
    assert "<u>" not in page.content.decode()


def test_model_validates_without_the_form():
    from django.core.exceptions import ValidationError

    row = ResourceServer(identifier="no uri", name="x", scopes="read", algorithm="ES256", is_default=True)
    with pytest.raises(ValidationError) as refused:
        row.full_clean()
    assert set(refused.value.message_dict) == {"identifier", "scopes", "algorithm", "is_default"}


class TestFormerIdentifiers:
    FORMER = "https://old.example.com/mail"

    def test_are_one_per_line(self, admin):
        sent = {**FORM, "aliases": f" {self.FORMER} \r\n\r\nhttps://older.example.com\r\n"}
        assert save(admin, reverse(ADD), sent).status_code == 302
        row = ResourceServer.objects.get()
        assert row.aliases == [self.FORMER, "https://older.example.com"]
        assert registry.latest().named("https://older.example.com/").identifier == MAIL
        address = reverse("admin:django_at_jwt_resourceserver_change", args=[row.pk])
        assert fill_in(admin, address)["aliases"] == [f"{self.FORMER}\r\nhttps://older.example.com"]
        assert save(admin, address, fill_in(admin, address)).status_code == 302
        assert LogEntry.objects.latest("pk").get_change_message() == "No fields changed."

    def test_of_a_row_from_a_fixture_can_be_corrected(self, admin):
        row = ResourceServer.objects.create(identifier=MAIL, name="Mail", open_to_all_clients=True, aliases={"a": 1})
        address = reverse("admin:django_at_jwt_resourceserver_change", args=[row.pk])
        assert save(admin, address, fill_in(admin, address, aliases=self.FORMER)).status_code == 302
        row.refresh_from_db()
        assert row.aliases == [self.FORMER]

    def test_must_be_identifiers(self, admin):
        message = errors(save(admin, reverse(ADD), {**FORM, "aliases": f"{self.FORMER}\nold\n/x#y"}))["aliases"]
        assert "Not an absolute URI with a host and without a fragment: 'old', '/x#y'." in message

    @pytest.mark.parametrize(
        ("sent", "field", "reason"),
        [
            ({"identifier": "HTTPS://First.example.com"}, "identifier", "It belongs to the resource server “First”."),
            ({"identifier": "https://gone.example.com/"}, "identifier", "It belongs to the resource server “First”."),
            ({"aliases": "https://first.example.com"}, "aliases", "It belongs to the resource server “First”."),
            ({"aliases": "https://gone.example.com/"}, "aliases", "It belongs to the resource server “First”."),
            ({"aliases": "https://mail.example.com"}, "aliases", "It is the same as the identifier."),
            ({"aliases": "https://a.example.com\nhttps://A.example.com/"}, "aliases", "It is listed twice."),
            ({"identifier": "https://reports.example.com"}, "identifier", "already declared in AT_JWT"),
            ({"aliases": "https://reports.example.com:443"}, "aliases", "already declared in AT_JWT"),
            ({"identifier": "https://api.example.com"}, "identifier", 'AT_JWT["DEFAULT_RESOURCE"] is the same API.'),
            ({"aliases": "https://api.example.com/"}, "aliases", 'AT_JWT["DEFAULT_RESOURCE"] is the same API.'),
        ],
    )
    def test_names_that_mean_another_api_are_refused(self, admin, sent, field, reason):
        ResourceServer.objects.create(
            identifier="https://first.example.com/", name="First", aliases=["https://gone.example.com"]
        )
        page = save(admin, reverse(ADD), {**FORM, **sent})
        assert reason in errors(page)[field]
        assert ResourceServer.objects.count() == 1

    def test_a_path_with_and_without_a_slash_are_two_apis(self, admin):
        ResourceServer.objects.create(identifier=f"{MAIL}mcp", name="First")
        assert save(admin, reverse(ADD), {**FORM, "identifier": f"{MAIL}mcp/"}).status_code == 302

    def test_a_row_may_describe_the_default(self, admin, settings):
        assert save(admin, reverse(ADD), {**FORM, "identifier": settings.API}).status_code == 302

    @pytest.mark.parametrize(
        ("aliases", "text"),
        [
            (
                [MAIL],
                "new ones get https://new.example.com/. The API must accept both until the issued ones have expired.",
            ),
            (
                [],
                f"Users are asked for consent again. To keep refresh tokens and consent, add {MAIL} to the former",
            ),
        ],
    )
    def test_the_review_page_of_a_move_says_what_the_api_must_accept(self, admin, aliases, text):
        row = ResourceServer.objects.create(identifier=MAIL, name="Mail", open_to_all_clients=True)
        address = reverse("admin:django_at_jwt_resourceserver_change", args=[row.pk])
        sent = {"identifier": "https://new.example.com/", "aliases": "\n".join(aliases)}
        page = admin.post(address, fill_in(admin, address, **sent))
        assert is_shown(page)
        assert text in " ".join(page.content.decode().split())

    def test_the_review_page_shows_them(self, admin):
        row = ResourceServer.objects.create(identifier=MAIL, name="Mail", open_to_all_clients=True)
        address = reverse("admin:django_at_jwt_resourceserver_change", args=[row.pk])
        page = admin.post(address, fill_in(admin, address, aliases=self.FORMER, enabled=None))
        assert is_shown(page)
        assert self.FORMER in page.content.decode()
