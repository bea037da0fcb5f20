"""The review page of a resource server shows which requests break, before it is saved."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from django_at_jwt.admin.lifetime import lifetime_in_words
from django_at_jwt.authorization_server.claims import usual_requests
from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.authorization_server.toolkit import SettingsScopes
from django_at_jwt.models import Authorization, ResourceServer
from tests.conftest import captured_statements, decoded

from .pages import confirm, send

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]

SERVERS = "/admin/django_at_jwt/resourceserver/"
NOTES, ORDERS = "https://notes.example.com/", "https://orders.example.com/"
SHOP = "https://shop.example.com/"
NEW = {"identifier": ORDERS, "name": "Orders", "scopes": "read", "open_to_all_clients": "on"}


@pytest.fixture
def notes(settings):
    """The only API, which names no scopes."""
    settings.AT_JWT = {"SIGNING_ALGORITHMS": ["RS256"]}
    scopes = {"read": "Read", "write": "Write", "openid": "Log in"}
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": scopes}
    return register(NOTES, "Notes", is_default=True)


@pytest.fixture
def orders(notes):
    return register(ORDERS, "Orders", scopes={"read": ""})


def register(identifier, name, **fields):
    return ResourceServer.objects.create(
        **{"identifier": identifier, "name": name, "open_to_all_clients": True, **fields}
    )


def change(row):
    return reverse("admin:django_at_jwt_resourceserver_change", args=[row.pk])


def delete(row):
    return reverse("admin:django_at_jwt_resourceserver_delete", args=[row.pk])


def breaks(page):
    """Return the sentences about what breaks, in their order."""
    return [said(line) for line in page.context["breaks"]]


def said(line):
    return unescape(strip_tags(line.text))


def text_of(page):
    return " ".join(strip_tags(page.content.decode()).split())


def outcome(answer):
    """Return the audience and scopes of a token response, or its error."""
    told = answer.json()
    if "error" in told:
        return told["error"]
    return decoded(told["access_token"])[1]["aud"], told["scope"]


class ScopesByClient(SettingsScopes):
    """Return the scopes in the name of the client."""

    def get_available_scopes(self, application=None, request=None, *args, **kwargs):
        return {"reader": ["read"], "writer": ["write"]}.get(application.name, ["read", "write"])

    get_default_scopes = get_available_scopes


class TestNewApi:
    def test_that_takes_a_scope_shows_the_outage(self, admin, notes, make_client):
        for number in range(6):
            make_client(name=f"client {number}")
        page = send(admin, f"{SERVERS}add/", **NEW)
        assert breaks(page) == [
            "6 clients that name no resource: requests for read write will fail with invalid_scope.",
            "6 clients that name no resource get tokens for Orders instead of Notes (requests for read).",
            "6 clients that name no resource get tokens for Notes without read (requests without a scope).",
            "6 clients: requests that name Notes get tokens without read.",
        ]
        text = text_of(page)
        assert "Clients: client 0, client 1, client 2, client 3, client 4 and 1 more." in text
        assert "The requested scopes belong to different resources." in text
        # First on the page, and in words and weight, not only in colour.
        assert text.index("What breaks") < text.index("6 clients") < text.index("Impact on access tokens")
        assert page.content.decode().count('<strong class="at-jwt-problem">') == 4
        assert not ResourceServer.objects.filter(identifier=ORDERS).exists()

    def test_lines_are_those_of_the_documentation(self, admin, notes, make_client):
        clients = [make_client(name=f"client {number}") for number in range(6)]
        fill(clients[0].application, get_user_model().objects.get(), 12)
        page = Path(__file__).parents[2] / "docs/how-to/change-an-api.md"
        block = page.read_text(encoding="utf-8").split("```text\n")[1].split("```")[0]
        assert block.splitlines() == breaks(send(admin, f"{SERVERS}add/", **NEW))

    def test_breaks_what_the_page_says(self, admin, notes, service, web, user):
        refresh_token = web.code_flow(user, scope="read write").json()["refresh_token"]
        assert outcome(service.token("client_credentials", scope="read write")) == (NOTES, "read write")
        page = send(admin, f"{SERVERS}add/", **NEW)
        told = breaks(page)
        confirm(admin, page)
        registry.clear()
        assert "2 clients that name no resource: requests for read write will fail with invalid_scope." in told
        assert outcome(service.token("client_credentials", scope="read write")) == "invalid_scope"
        assert any("get tokens for Orders instead of Notes (requests for read)" in each for each in told)
        assert outcome(service.token("client_credentials", scope="read")) == (ORDERS, "read")
        assert any("get tokens for Notes without read (requests without a scope)" in each for each in told)
        assert outcome(service.token("client_credentials")) == (NOTES, "write openid")
        assert "2 clients: requests that name Notes get tokens without read." in told
        assert outcome(service.token("client_credentials", resource=NOTES)) == (NOTES, "write openid")
        assert "1 live refresh token for Notes yields tokens without read." in told
        assert outcome(web.token("refresh_token", refresh_token=refresh_token)) == (NOTES, "write")

    def test_names_the_smallest_combinations_of_scopes_that_fail(self, admin, notes, service, settings):
        scopes = {**settings.OAUTH2_PROVIDER["SCOPES"], "export": "Export", "import": "Import"}
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": scopes}
        told = breaks(send(admin, f"{SERVERS}add/", **{**NEW, "scopes": "read\nexport"}))
        assert told[0] == (
            "1 client that names no resource: requests for export import, read import, read write, write export "
            "will fail with invalid_scope."
        )
        assert "(requests for export, read)." in told[1]

    def test_isolated_that_takes_a_scope(self, admin, notes, service):
        told = breaks(send(admin, f"{SERVERS}add/", **NEW, isolated="on"))
        assert "1 client: requests that name Notes get tokens without read." in told

    def test_scopes_are_those_of_each_client(self, admin, notes, make_client, settings):
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "SCOPES_BACKEND_CLASS": "tests.admin.test_requests_that_break.ScopesByClient",
        }
        for name in ("reader", "writer", "both"):
            make_client(name=name)
        told = breaks(send(admin, f"{SERVERS}add/", **NEW))
        assert told[0] == "1 client that names no resource: requests for read write will fail with invalid_scope."
        assert told[1] == "2 clients that name no resource get tokens for Orders instead of Notes (requests for read)."

    def test_without_a_scope_of_others_breaks_nothing(self, admin, notes, service, settings):
        scopes = {**settings.OAUTH2_PROVIDER["SCOPES"], "orders": "Order"}
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": scopes, "DEFAULT_SCOPES": ["read"]}
        register(SHOP, "Shop", scopes={"orders": ""})
        page = send(admin, f"{SERVERS}add/", **{**NEW, "scopes": "orders", "open_to_all_clients": None})
        assert breaks(page) == []
        assert "What breaks" not in text_of(page)
        assert "Compared the requests of 1 of 1 clients (there are no live refresh tokens)." in text_of(page)
        assert "None of these requests breaks." in text_of(page)

    def test_saying_it_again_after_saving_is_not_needed(self, admin, notes, service):
        answer = admin.get(confirm(admin, send(admin, f"{SERVERS}add/", **NEW))["Location"])
        assert [message.level_tag for message in answer.context["messages"]] == ["success"]


class TestStoredTokens:
    def test_show_which_requests_are_real(self, admin, notes, service, make_client):
        make_client("client-credentials", name="idle")
        service.token("client_credentials", scope="write openid read")
        page = send(admin, f"{SERVERS}add/", **NEW)
        [line, *_others] = page.context["breaks"]
        assert "requests for read write, write openid read will fail" in said(line)
        assert line.seen == 1
        assert "Stored tokens show such requests of 1 client." in text_of(page)

    def test_show_that_a_client_names_the_resource(self, admin, orders, service):
        service.token("client_credentials", scope="write", resource=NOTES)
        service.token("client_credentials", scope="read", resource=ORDERS)
        service.token("client_credentials", scope="openid", resource=ORDERS)
        lines = send(admin, change(orders), enabled=None).context["breaks"]
        seen = {said(line): line.seen for line in lines}
        # The default would have been taken for ``openid``, but not for ``read``.
        assert seen["1 client: requests that name Orders will fail with invalid_target."] == 1
        assert seen["1 client that names no resource: requests for read will fail with invalid_target."] == 1

    def test_refreshes_use_what_was_granted(self, admin, orders, web, user):
        tokens = web.code_flow(user, scope="write", resource=NOTES).json()
        web.code_flow(user, scope="read", resource=ORDERS)
        # Its last token has fewer scopes than its authorization.
        web.token("refresh_token", refresh_token=tokens["refresh_token"], scope="")
        told = breaks(admin.get(delete(orders)))
        assert "1 live refresh token for Orders will fail with invalid_target." in told
        assert not any("refresh" in each for each in breaks(send(admin, change(orders), description="New")))

    def test_ended_authorizations_and_used_refresh_tokens_do_not_count(
        self, admin, orders, web, user, django_capture_on_commit_callbacks
    ):
        first, second = (web.code_flow(user, scope="read", resource=ORDERS).json() for _ in range(2))
        web.token("refresh_token", refresh_token=first["refresh_token"])
        page = admin.get(delete(orders))
        assert "2 live refresh tokens for Orders will fail with invalid_target." in breaks(page)
        with django_capture_on_commit_callbacks(execute=True):
            web.post("/o/revoke_token/", {"token": second["refresh_token"]})
        assert "1 live refresh token for Orders will fail with invalid_target." in breaks(admin.get(delete(orders)))
        # ``revoke()`` would also take the access token away, and a signal end the authorization.
        live = get_refresh_token_model().objects.filter(revoked=None).values_list("pk", flat=True)
        row = get_refresh_token_model().objects.filter(pk=live.get())
        row.update(revoked=timezone.now())
        assert not any("refresh" in each for each in breaks(admin.get(delete(orders))))
        row.update(revoked=None)
        Authorization.objects.update(ended_at="2026-01-01T00:00:00Z")
        assert not any("refresh" in each for each in breaks(admin.get(delete(orders))))

    def test_expired_refresh_tokens_do_not_count(self, admin, orders, web, user, settings):
        web.code_flow(user, scope="read", resource=ORDERS)
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_EXPIRE_SECONDS": 60}
        assert "1 live refresh token for Orders will fail with invalid_target." in breaks(admin.get(delete(orders)))
        get_access_token_model().objects.update(expires=timezone.now() - timedelta(seconds=61))
        assert not any("refresh" in each for each in breaks(admin.get(delete(orders))))

    def test_refresh_tokens_of_former_times_count_for_the_default(self, admin, notes, orders, web, user):
        web.code_flow(user, scope="write")
        get_refresh_token_model().objects.update(resource=[], token_family=None)
        told = breaks(send(admin, change(orders), is_default="on"))
        assert "1 live refresh token yields tokens for Orders instead of Notes." in told


class TestOtherChanges:
    def test_deleting_an_api_shows_what_breaks(self, admin, orders, service):
        page = admin.get(delete(orders))
        assert breaks(page) == [
            "1 client: requests that name Orders will fail with invalid_target.",
            "1 client that names no resource gets tokens for Notes instead of Orders (requests for read).",
        ]
        assert page.context["consequences"] == ["Access tokens that are already issued for Orders are revoked."]
        text = text_of(page)
        assert text.index("What breaks") < text.index("are revoked") < text.index("To be deleted")
        assert "Tokens for Notes additionally have read." in text

    @pytest.mark.parametrize("gone", ["deleted", "disabled"])
    def test_scopes_that_only_one_api_has(self, gone, admin, notes, service, settings):
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "SCOPES_BACKEND_CLASS": "django_at_jwt.scopes.ResourceServerScopes",
        }
        payroll = register("https://payroll.example.com/", "Payroll", scopes={"salaries": "See salaries"})
        payroll.open_to_all_clients = False
        payroll.save()
        assert outcome(service.token("client_credentials", scope="salaries")) == "invalid_target"
        payroll.open_to_all_clients = True
        payroll.save()
        assert outcome(service.token("client_credentials", scope="salaries")) == (payroll.identifier, "salaries")
        if gone == "deleted":
            page = admin.get(delete(payroll))
            payroll.delete()
        else:
            page = send(admin, change(payroll), enabled=None)
            payroll.enabled = False
            payroll.save()
        fails = "1 client that names no resource: requests for salaries will fail with invalid_scope."
        assert fails in breaks(page)
        assert "salaries" not in str([said(line) for line in page.context["other_changes"]])
        assert outcome(service.token("client_credentials", scope="salaries")) == "invalid_scope"

    def test_requests_for_a_scope_that_is_removed_are_refused_as_before(self, admin, notes, service, settings):
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "SCOPES_BACKEND_CLASS": "django_at_jwt.scopes.ResourceServerScopes",
        }
        payroll = register(
            "https://payroll.example.com/", "Payroll", scopes={"salaries": ""}, open_to_all_clients=False
        )
        page = admin.get(delete(payroll))
        assert "that were refused" not in text_of(page)

    def test_deleting_several(self, admin, orders, service):
        register("https://mail.example.com/", "Mail", scopes={"write": ""})
        chosen = {"action": "delete_selected", "_selected_action": [row.pk for row in ResourceServer.objects.all()]}
        told = breaks(admin.post(SERVERS, chosen))
        assert "1 client that names no resource: requests without a scope will fail with server_error." in told

    def test_disabling_an_api_shows_what_breaks(self, admin, orders, service):
        page = send(admin, change(orders), enabled=None)
        assert breaks(page) == [
            "1 client that names no resource: requests for read will fail with invalid_target.",
            "1 client: requests that name Orders will fail with invalid_target.",
        ]
        assert page.context["consequences"] == ["Access tokens that are already issued for Orders are revoked."]

    def test_restricting_names_the_clients_that_lose_access(self, admin, orders, make_client, monkeypatch):
        for number in range(4):
            make_client("client-credentials", name=f"client {number}", client_id=f"client-{number}")
        monkeypatch.setattr(usual_requests, "MOST_CLIENTS", 2)
        kept = ["client-0", "client-1", "client-2"]
        page = send(admin, change(orders), open_to_all_clients=None, clients=kept)
        [named] = [line for line in page.context["breaks"] if "that name Orders" in line.text]
        assert named.clients == ("client 3",)
        confirm(admin, page)
        page = send(admin, change(orders), clients=kept[:2])
        [named] = [line for line in page.context["breaks"] if "that name Orders" in line.text]
        assert said(named) == "1 of 2 sampled clients: requests that name Orders will fail with invalid_target."
        assert named.clients == ("client 2",)
        assert "Compared the requests of 2 of 4 clients" in text_of(page)

    def test_closing_to_clients_that_register_themselves(self, admin, orders, make_client):
        orders.open_to_registered_clients = True
        orders.save()
        registry.clear()
        make_client("client-credentials", name="of an administrator")
        make_client("client-credentials", name="registered itself", registration_source="dcr")
        page = send(admin, change(orders), open_to_registered_clients=None)
        [named] = [line for line in page.context["breaks"] if "that name Orders" in line.text]
        assert named.clients == ("registered itself",)
        assert said(named).endswith("requests that name Orders will fail with invalid_target.")
        # They have no other API, so opening one to all clients changes nothing for them.
        confirm(admin, page)
        assert breaks(send(admin, change(orders), open_to_registered_clients="on")) == []
        only = [line for line in breaks(send(admin, change(orders), open_to_all_clients=None)) if "Orders" in line]
        assert only == ["1 client: requests that name Orders will fail with invalid_target."]

    def test_isolating_an_api_shows_what_breaks(self, admin, orders, service):
        assert breaks(send(admin, change(orders), isolated="on")) == [
            "1 client that names no resource gets tokens for Notes instead of Orders (requests for read)."
        ]

    def test_another_identifier(self, admin, orders, service):
        page = send(admin, change(orders), identifier=SHOP)
        assert breaks(page) == [
            f"1 client: requests that name {ORDERS} will fail with invalid_target.",
            f"1 client that names no resource gets tokens for {SHOP} instead of {ORDERS} (requests for read).",
        ]
        [text] = page.context["consequences"]
        assert f"keep the audience {ORDERS}" in text

    def test_fewer_scopes(self, admin, orders, service):
        told = breaks(send(admin, change(orders), **{"scopes-chosen": ["write"]}))
        assert "1 client: requests that name Orders get tokens without read." in told
        assert "1 client that names no resource gets tokens for Notes instead of Orders (requests for read)." in told
        assert "1 client that names no resource gets tokens for Orders instead of Notes (requests for write)." in told

    def test_another_default(self, admin, orders, service):
        assert (
            "1 client that names no resource gets tokens for Orders instead of Notes (requests without a scope)."
            in breaks(send(admin, change(orders), is_default="on"))
        )

    def test_no_default(self, admin, notes, service):
        page = send(admin, change(notes), is_default=None)
        assert breaks(page) == [
            "1 client that names no resource: requests without a scope will fail with server_error.",
        ]
        assert "the token would have no audience" in text_of(page)

    def test_format_algorithm_and_lifetime(self, admin, orders, service, settings):
        assert breaks(send(admin, change(orders), token_format="opaque")) == [
            "Tokens for Orders become opaque instead of at+jwt."
        ]
        assert breaks(send(admin, change(orders), algorithm="RS256")) == [
            "Tokens for Orders are signed with RS256 instead of the site's default."
        ]
        page = send(admin, change(orders), lifetime="60")
        assert breaks(page) == []
        lifetime = settings.OAUTH2_PROVIDER.get("ACCESS_TOKEN_EXPIRE_SECONDS", 3600)
        assert f"Tokens for Orders are valid for 1 minute instead of {lifetime_in_words(lifetime)}." in text_of(page)

    def test_markup_in_names_is_escaped(self, admin, notes, make_client):
        make_client(name="<b>client</b>")
        ResourceServer.objects.update(name="<i>Notes</i>")
        page = send(admin, f"{SERVERS}add/", **{**NEW, "name": "<u>Orders</u>"}).content.decode()
        for markup in ("<b>client", "<i>Notes", "<u>Orders"):
            assert markup not in page


class TestSample:
    def test_statements_do_not_depend_on_the_size_of_the_site(self, admin, notes, service, make_client, monkeypatch):
        monkeypatch.setattr(usual_requests, "MOST_TOKENS", 5)
        monkeypatch.setattr(usual_requests, "MOST_ROWS", 8)

        def sampled():
            before = registry.latest()
            with captured_statements() as statements:
                sample = usual_requests.sample_requests(before, before, changed={NOTES})
            return sample, len(statements)

        fill(service.application, get_user_model().objects.get(), 2)
        sampled()  # Reads the options of clients, which are cached.
        sample, few = sampled()
        assert (sample.refreshes.number, sample.refreshes.is_complete) == (2, True)
        for number in range(30):
            make_client("client-credentials", name=f"{number}")
        fill(service.application, get_user_model().objects.get(), 30)
        sample, many = sampled()
        assert (sample.refreshes.number, sample.refreshes.is_complete) == (5, False)
        assert many == few <= 7
        monkeypatch.setattr(usual_requests, "MOST_TOKENS", 20)
        sample, _ = sampled()
        # Those among the latest rows.
        assert (sample.refreshes.number, sample.refreshes.is_complete) == (8, False)
        page = send(admin, f"{SERVERS}add/", **NEW)
        assert "8 of 8 sampled live refresh tokens for Notes yield tokens without read." in breaks(page)
        assert "and the latest 8 live refresh tokens." in text_of(page)

    def test_clients_with_the_latest_tokens_come_first(self, admin, notes, make_client, monkeypatch):
        monkeypatch.setattr(usual_requests, "MOST_CLIENTS", 2)
        clients = [make_client("client-credentials", name=f"{n}", client_id=f"client-{n}") for n in range(4)]
        clients[3].token("client_credentials", scope="read")
        assert [*usual_requests.sample_requests(registry.latest(), registry.latest(), changed=()).clients] == [
            "client-3",
            "client-0",
        ]

    def test_nothing_is_written_and_the_page_is_the_same_again(self, admin, notes, service):
        service.token("client_credentials", scope="read write")
        with captured_statements() as statements:
            page = send(admin, f"{SERVERS}add/", **NEW)
        written = [each for each in statements if each.startswith(("INSERT", "UPDATE", "DELETE"))]
        assert all("django_admin_log" in each for each in written)
        assert breaks(send(admin, f"{SERVERS}add/", **NEW)) == breaks(page)


def fill(client, user, number):
    expires = timezone.now() + timedelta(hours=1)
    for _ in range(number):
        row = get_access_token_model().objects.create(
            application=client,
            user=user,
            token=f"token {timezone.now()}",
            scope="read",
            resource=[NOTES],
            expires=expires,
        )
        get_refresh_token_model().objects.create(
            application=client, user=user, token=f"refresh {timezone.now()}", access_token=row, resource=[NOTES]
        )


class TestFormerIdentifiers:
    def test_a_move_with_its_former_identifier(self, admin, orders, service, web, user):
        refresh_token = web.code_flow(user, scope="read", resource=ORDERS).json()["refresh_token"]
        page = send(admin, change(orders), identifier=SHOP, aliases=ORDERS)
        told = breaks(page)
        assert f"2 clients: requests that name {ORDERS} get tokens for {SHOP} instead of {ORDERS}." in told
        assert f"1 live refresh token yields tokens for {SHOP} instead of {ORDERS}." in told
        assert not any("fail" in each for each in told)
        confirm(admin, page)
        registry.clear()
        assert outcome(service.token("client_credentials", resource=ORDERS)) == (SHOP, "read openid")
        assert outcome(web.token("refresh_token", refresh_token=refresh_token)) == (SHOP, "read")

    def test_removing_one_breaks_only_requests_that_name_it(self, admin, orders, service):
        ResourceServer.objects.filter(pk=orders.pk).update(aliases=[SHOP])
        registry.clear()
        page = send(admin, change(orders), aliases="")
        assert breaks(page) == [f"1 client: requests that name {SHOP} will fail with invalid_target."]
        confirm(admin, page)
        registry.clear()
        assert outcome(service.token("client_credentials", resource=SHOP)) == "invalid_target"
        assert outcome(service.token("client_credentials", resource=ORDERS)) == (ORDERS, "read openid")
