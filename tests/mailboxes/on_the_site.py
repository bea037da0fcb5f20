"""Run by test_mailboxes.py with the settings of this site: a mailbox and the superuser have the same primary key."""

from __future__ import annotations

import json
import sys
from io import StringIO
from types import ModuleType

import pytest
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.test import Client
from oauth2_provider.models import get_access_token_model

from django_at_jwt.authorization_server.subject import refuse_subject_as_client_id
from tests.conftest import decoded
from tests.docs.blocks import SUBJECTS, blocks_of

from .models import Domain, Mailbox

pytestmark = pytest.mark.django_db

SENTENCE = "Access tokens are about mailboxes.Mailbox (AccessToken.user), and AUTH_USER_MODEL is auth.User"
APIS = ["/whoami/", "/plain/"]
PASSWORD = {"username": "info@example.com", "password": "the mailbox's password"}


@pytest.fixture(autouse=True)
def root():
    return get_user_model().objects.create_superuser("root", "root@example.com", "root's password")


@pytest.fixture
def mailbox(root):
    domain = Domain.objects.create(name="example.com")
    return Mailbox.objects.create(pk=root.pk, address="info@example.com", domain=domain)


@pytest.fixture
def web(make_client):
    return make_client("password")


@pytest.fixture
def answer(signing_keys, mailbox, web):
    def ask(**settings_of_scope):
        return web.token("password", scope="read", **PASSWORD).json()

    return ask


@pytest.fixture
def use(settings):
    def use(**changes):
        settings.AT_JWT = {**settings.AT_JWT, **changes}

    return use


def get(address, token, **options):
    return Client(**options).get(address, headers={"Authorization": f"Bearer {token}"})


def problems():
    return [message for message in run_checks() if str(message.id).startswith("django_at_jwt.E")]


def test_check_refuses_it_and_says_what_to_do(use):
    [error] = problems()
    assert error.id == "django_at_jwt.E023"
    assert SENTENCE in error.msg
    assert "LOCAL_SUBJECT_LOOKUP" in error.hint
    with pytest.raises(SystemCheckError, match=r"django_at_jwt\.E023"):
        call_command("check", stdout=StringIO(), stderr=StringIO())


@pytest.mark.parametrize("address", APIS)
@pytest.mark.parametrize("token_format", ["at+jwt", "opaque"])
def test_no_user_is_looked_up_in_the_wrong_table(address, token_format, use, answer, settings):
    use(
        RESOURCE_SERVERS={settings.API: {"name": "API", "scopes": {"read": ""}, "format": token_format}},
        ACCEPT_OPAQUE_TOKENS=True,
    )
    token = answer()["access_token"]
    refused = get(address, token, raise_request_exception=False)
    assert refused.status_code == 500
    assert b"root" not in refused.content
    [error] = problems()
    with pytest.raises(ImproperlyConfigured) as raised:
        get(address, token)
    assert str(raised.value) == f"{error.msg} {error.hint}"


@pytest.mark.parametrize(
    "settings_of_the_site",
    [
        {"LOCAL_SUBJECT_LOOKUP": "tests.mailboxes.lookups.mailbox_of"},
        {"SUBJECT": "tests.mailboxes.lookups.subject_of"},
        {
            "SUBJECT": "tests.mailboxes.lookups.subject_of",
            "USER_BY_SUBJECT": "tests.mailboxes.lookups.mailbox_by_subject",
        },
        {"PAIRWISE_SUBJECT_KEY": "A" * 43},
    ],
    ids=["lookup", "callable", "callable and its way back", "pairwise"],
)
@pytest.mark.parametrize("address", APIS)
def test_with_a_way_back_it_is_the_mailbox(settings_of_the_site, address, use, answer):
    use(**settings_of_the_site)
    assert problems() == []
    response = get(address, answer()["access_token"])
    assert (response.status_code, response.json()["user"]) == (200, "info@example.com")


def test_lookup_of_the_page(use, answer, monkeypatch):
    blocks = [block for block in blocks_of(SUBJECTS) if "mailbox" in block.text]
    monkeypatch.setitem(sys.modules, "mysite", ModuleType("mysite"))
    monkeypatch.setitem(sys.modules, "mysite.mailboxes", module := ModuleType("mysite.mailboxes"))
    exec(blocks[0].text.replace("mail.models", "tests.mailboxes.models"), vars(module))
    exec(blocks[1].text, written := {"AT_JWT": {}})
    use(**written["AT_JWT"])
    assert problems() == []
    assert get("/whoami/", answer()["access_token"]).json()["user"] == "info@example.com"


@pytest.mark.parametrize("address", APIS)
def test_way_back_to_the_wrong_table_is_not_taken(address, use, answer):
    use(SUBJECT="tests.mailboxes.lookups.subject_of", USER_BY_SUBJECT="tests.mailboxes.lookups.user_by_subject")
    token = answer()["access_token"]
    refused = get(address, token, raise_request_exception=False)
    assert refused.status_code == 500
    assert b"root" not in refused.content
    with pytest.raises(ImproperlyConfigured, match=r"USER_BY_SUBJECT.+ must return a mailboxes\.Mailbox"):
        get(address, token)


@pytest.mark.parametrize("address", APIS)
def test_stateless_mode_looks_up_no_user(address, use, answer, mailbox):
    use(USER_MODE="stateless")
    assert problems() == []
    assert get(address, answer()["access_token"]).json()["user"] == str(mailbox.pk)


@pytest.mark.parametrize("address", ["/toolkit-drf/", "/toolkit-view/"])
def test_views_of_the_toolkit_take_the_user_of_the_row(address, answer):
    headers = {"Authorization": f"Bearer {answer()['access_token']}", "Host": "api.example.com"}
    response = Client().get(address, headers=headers, secure=True)
    assert response.status_code == 200
    if address == "/toolkit-drf/":
        assert response.json() == {"user": "info@example.com"}


def test_refreshed_token_is_about_the_same_mailbox(answer, web, use):
    use(LOCAL_SUBJECT_LOOKUP="tests.mailboxes.lookups.mailbox_of")
    first = answer()
    second = web.token("refresh_token", refresh_token=first["refresh_token"]).json()
    assert decoded(first["access_token"])[1]["sub"] == decoded(second["access_token"])[1]["sub"]
    assert get("/whoami/", second["access_token"]).json()["user"] == "info@example.com"


def test_user_of_the_other_model_gets_no_token(signing_keys, mailbox, web, caplog):
    response = web.token("password", scope="read", username="root", password="root's password")
    assert (response.status_code, response.json()["error"]) == (503, "server_error")
    assert "is of model auth.User; access tokens are for users of mailboxes.Mailbox" in caplog.text
    assert not get_access_token_model().objects.exists()


@pytest.mark.parametrize("rule", ["pk", "address"])
def test_client_id_equal_to_a_subject_is_looked_for_among_mailboxes(rule, use, signing_keys, mailbox, make_client):
    use(SUBJECT=rule, LOCAL_SUBJECT_LOOKUP="tests.mailboxes.lookups.mailbox_of")
    assert problems() == []
    other = get_user_model().objects.create_user("another user")
    assert not Mailbox.objects.filter(pk=other.pk).exists()
    taken, free = str(getattr(mailbox, rule)), str(other.pk)
    with pytest.raises(ValidationError):
        refuse_subject_as_client_id(taken)
    refuse_subject_as_client_id(free)
    statuses = [
        make_client("client-credentials", client_id=name).token("client_credentials", scope="read").status_code
        for name in (taken, free)
    ]
    assert statuses == [400, 200]


def test_subject_is_a_field_of_the_mailbox(use, answer):
    use(SUBJECT="username", LOCAL_SUBJECT_LOOKUP="tests.mailboxes.lookups.mailbox_of")
    [error] = problems()
    assert (error.id, "not a field of mailboxes.Mailbox" in error.msg) == ("django_at_jwt.E013", True)
    use(SUBJECT="address")
    assert problems() == []
    assert decoded(answer()["access_token"])[1]["sub"] == "info@example.com"


def test_claims_are_the_mailboxs(use, answer, root, mailbox):
    from django.contrib.auth.models import Group

    root.groups.add(Group.objects.create(name="administrators"))
    fields = ["address", "domain.name", "postmaster.email", "email"]
    sources = {
        **{name: {"kind": "user", "path": name} for name in fields},
        "groups": {"kind": "groups"},
        "permissions": {"kind": "permissions"},
    }
    types = {"groups": "strings", "permissions": "strings"}
    use(
        MAPPABLE_USER_FIELDS=fields,
        CLAIM_MAPPERS=[
            {"name": name, "claim": f"x_{name.replace('.', '_')}", "source": source, "type": types.get(name, "string")}
            for name, source in sources.items()
        ],
    )
    Mailbox.objects.update(postmaster=root)
    claims = decoded(answer()["access_token"])[1]
    assert {name: value for name, value in claims.items() if name.startswith("x_")} == {
        "x_address": "info@example.com",
        "x_domain_name": "example.com",
    }


def test_preview_is_of_mailboxes(use, signing_keys, mailbox, web):
    use(LOCAL_SUBJECT_LOOKUP="tests.mailboxes.lookups.mailbox_of")
    output = StringIO()
    options = {"client": web.application.client_id, "scope": ["read"], "json": True, "stdout": output}
    call_command("preview_access_token", user=str(mailbox.pk), **options)
    assert json.loads(output.getvalue())["claims"]["sub"] == str(mailbox.pk)
    other = get_user_model().objects.create_user("another user")
    for name in ("root", str(other.pk)):
        with pytest.raises(CommandError, match="No user has the username"):
            call_command("preview_access_token", user=name, **options)


def test_preview_page_is_of_mailboxes(use, signing_keys, mailbox, web, root):
    use(LOCAL_SUBJECT_LOOKUP="tests.mailboxes.lookups.mailbox_of")
    browser = Client()
    browser.force_login(root)
    page = "/admin/django_at_jwt/tokenpreview/"
    shown = browser.post(
        page, {"preview-typed": "on", "preview-user_name": "1", "preview-client_id": web.application.client_id}
    )
    assert shown.status_code == 200
    assert "info@example.com" in shown.content.decode()


def test_verify_command_says_it(answer):
    token = answer()["access_token"]
    with pytest.raises((CommandError, ImproperlyConfigured), match="Access tokens are about"):
        call_command("verify_access_token", token, stdout=StringIO())
