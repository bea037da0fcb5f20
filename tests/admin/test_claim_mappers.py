"""The form and the list of claim mappers in the admin, over HTTP and without JavaScript."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.urls import reverse

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.claims import register_claim_source
from django_at_jwt.core.claims.presets import READY_MADE
from django_at_jwt.models import ClaimMapper, ResourceServer, claim_mapper
from tests.conftest import captured_statements, decoded
from tests.people.models import Department, Profile

from .pages import confirm, fields_of, fill_in, is_shown, may, send, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]

LIST = "/admin/django_at_jwt/claimmapper/"
ADD = f"{LIST}add/"


@register_claim_source("tests.house", type="integer", label="House", is_personal=False)
def tenant(context):
    return 7


@pytest.fixture(autouse=True)
def _mappable(settings):
    fields = ["email", "first_name", "last_name", "profile.department.code", "profile.badge"]
    settings.AT_JWT = {**settings.AT_JWT, "MAPPABLE_USER_FIELDS": fields}


_submitted_if_empty = {}


def send_new(admin, **values):
    """Fill in the form for a new mapper and submit it. Most fields are the same for all tests, which open it once."""
    if not _submitted_if_empty:
        _submitted_if_empty.update(fields_of(admin.get(ADD)))
    return admin.post(ADD, {**_submitted_if_empty, "_save": "Save", **values})


def change(row):
    return reverse("admin:django_at_jwt_claimmapper_change", args=[row.pk])


def add(admin, **values):
    page = send_new(admin, **values)
    assert is_shown(page), errors(page)
    assert not ClaimMapper.objects.filter(name=values["name"]).exists()
    assert confirm(admin, page).status_code == 302
    return ClaimMapper.objects.get(name=values["name"])


def errors(page):
    assert page.status_code == 200
    form = page.context["adminform"].form
    told = {field: " ".join(messages) for field, messages in form.errors.items()}
    # The rows of transforms have messages of their own.
    rows = form.fields["transforms"].widget.errors
    messages = [message for each in rows.values() for message in each]
    return {**told, "transforms": " ".join([told["transforms"], *messages])} if rows else told


DEPARTMENT = {
    "name": "department",
    "claim": "department",
    "source_kind": "user",
    "source_user": "profile.department.code",
}


def test_department_by_the_form_alone(admin, user, web):
    Profile.objects.create(user=user, department=Department.objects.create(code="R+D"))
    row = add(admin, **DEPARTMENT, scopes=["read"], tokens_for="users")
    assert row.source == {"kind": "user", "path": "profile.department.code"}
    assert row.conditions == {"tokens_for": "users", "scopes": ["read"]}
    assert row.transforms == []
    assert decoded(web.code_flow(user).json()["access_token"])[1]["department"] == "R+D"
    assert LogEntry.objects.get(object_id=str(row.pk), object_repr="department").get_change_message() == "Added."


@pytest.mark.parametrize(
    ("values", "source", "more"),
    [
        ({"source_kind": "groups", "type": "strings"}, {"kind": "groups"}, {}),
        ({"source_kind": "permissions", "type": "strings"}, {"kind": "permissions"}, {}),
        ({"source_kind": "client", "source_client": "name"}, {"kind": "client", "name": "name"}, {}),
        (
            {"source_kind": "resource_server", "source_resource_server": "identifier"},
            {"kind": "resource_server", "name": "identifier"},
            {},
        ),
        ({"source_kind": "text", "source_text": "5"}, {"kind": "constant", "value": "5"}, {}),
        (
            {"source_kind": "constant", "source_constant": '{"a": [1, null]}', "type": "object"},
            {"kind": "constant", "value": {"a": [1, None]}},
            {},
        ),
        (
            {"source_kind": "template", "source_template": "{user:first_name} {{x}} "},
            {"kind": "template", "text": "{user:first_name} {{x}} "},
            {},
        ),
        ({"source_kind": "claim", "source_claim": "sub"}, {"kind": "claim", "claim": "sub"}, {}),
        (
            {"source_kind": "registered", "source_registered": "tests.house", "type": "integer"},
            {"kind": "registered", "name": "tests.house"},
            {},
        ),
        # Fields of other sources are ignored, so that the form works without JavaScript.
        (
            {"source_kind": "user", "source_user": "email", "source_constant": "{", "default": "unused"},
            {"kind": "user", "path": "email"},
            {"default": None},
        ),
        (
            {"source_kind": "user", "source_user": "email", "when_missing": "default", "default": "5"},
            {"kind": "user", "path": "email"},
            {"default": "5"},
        ),
        (
            {"source_kind": "groups", "type": "strings", "when_missing": "default", "default": '["a", "b"]'},
            {"kind": "groups"},
            {"default": ["a", "b"]},
        ),
        (
            {"source_kind": "groups", "type": "strings", "when_missing": "default", "default": "a"},
            {"kind": "groups"},
            {"default": ["a"]},
        ),
        (
            {
                "source_kind": "registered",
                "source_registered": "tests.house",
                "type": "integer",
                "when_missing": "default",
                "default": "5",
            },
            {"kind": "registered", "name": "tests.house"},
            {"default": 5},
        ),
    ],
)
def test_every_source_is_stored_and_shown_as_entered(admin, values, source, more):
    row = add(admin, name="m", claim="c", **values)
    assert row.source == source
    assert {name: getattr(row, name) for name in more} == more
    # Submitting the same form again changes nothing, and needs no review.
    assert admin.post(change(row), fill_in(admin, change(row))).status_code == 302
    before = {name: getattr(row, name) for name in ("source", "default", "conditions", "transforms")}
    row.refresh_from_db()
    assert {name: getattr(row, name) for name in before} == before
    assert LogEntry.objects.filter(object_id=str(row.pk)).first().get_change_message() == "No fields changed."


STEPS = [
    (("cast", "string"), {"kind": "cast", "to": "string"}),
    (("join", ", "), {"kind": "join", "separator": ", "}),
    (("split", " "), {"kind": "split", "separator": " "}),
    (("pick", "first"), {"kind": "pick", "which": "first"}),
    (("keep", "app-*\r\nx"), {"kind": "filter", "patterns": ["app-*", "x"]}),
    (("drop", "app-*"), {"kind": "filter", "patterns": ["app-*"], "drop": True}),
    (("prefix", "a "), {"kind": "prefix", "text": "a "}),
    (("strip_prefix", "role-"), {"kind": "strip", "prefix": "role-"}),
    (("strip_suffix", "x"), {"kind": "strip", "suffix": "x"}),
    (("rename", "a = b\r\nc=d"), {"kind": "rename", "table": {"a": "b", "c": "d"}}),
    (("rename_only", "a = b"), {"kind": "rename", "table": {"a": "b"}, "others": "drop"}),
    (("lower", ""), {"kind": "lower"}),
    (("default", "none"), {"kind": "default", "value": "none"}),
    (("hash", "a key of 16 letters"), {"kind": "hash", "key": "a key of 16 letters"}),
    (("hash_by_name", "tenant"), {"kind": "hash", "key_name": "tenant"}),
    (("wrap", "value"), {"kind": "wrap", "member": "value"}),
    (("json", '{"kind": "default", "value": 0}'), {"kind": "default", "value": 0}),
    (
        ("json", '{"kind": "strip", "prefix": "a\\nb", "suffix": "c"}'),
        {"kind": "strip", "prefix": "a\nb", "suffix": "c"},
    ),
    (
        ("json", '{"kind": "rename", "table": {"a=b": " c"}}'),
        {"kind": "rename", "table": {"a=b": " c"}},
    ),
]


@pytest.mark.parametrize(("step", "transform"), STEPS, ids=lambda each: each[0] if isinstance(each, tuple) else "")
def test_every_transform_is_stored_and_shown_as_entered(admin, step, transform, settings):
    settings.AT_JWT = {**settings.AT_JWT, "CLAIM_HASH_KEYS": {"tenant": "a key that is nowhere else"}}
    values = {"transforms-1-step": step[0], "transforms-1-text": step[1]}
    row = add(admin, **{**DEPARTMENT, **values})
    assert row.transforms == [transform]
    shown = fields_of(admin.get(change(row)))
    assert shown["transforms-0-step"] == [step[0]]
    assert admin.post(change(row), fill_in(admin, change(row))).status_code == 302
    row.refresh_from_db()
    assert row.transforms == [transform]


def test_every_kind_of_transform_has_a_step():
    from django_at_jwt.core.claims.schema import TRANSFORM_KINDS

    assert {transform["kind"] for _, transform in STEPS} == set(TRANSFORM_KINDS)


def test_every_kind_of_source_is_offered():
    from django_at_jwt.admin.claim_mapper.form import SOURCE_KINDS
    from django_at_jwt.core.claims.schema import SOURCE_KINDS as RULE_KINDS

    assert set(SOURCE_KINDS) == {*RULE_KINDS, "text"}


@pytest.mark.parametrize(
    ("values", "field", "says"),
    [
        ({"name": ""}, "name", "required"),
        ({"claim": "a..b"}, "claim", "between dots"),
        ({"source_kind": ""}, "source_kind", "required"),
        ({"source_user": ""}, "source_user", "Fill this in"),
        ({"source_user": "password"}, "source_user", "MAPPABLE_USER_FIELDS"),
        ({"source_user": "profile.password"}, "source_user", "MAPPABLE_USER_FIELDS"),
        ({"source_user": "_state"}, "source_user", "MAPPABLE_USER_FIELDS"),
        ({"source_user": "get_full_name"}, "source_user", "MAPPABLE_USER_FIELDS"),
        ({"source_user": "last_login"}, "source_user", "MAPPABLE_USER_FIELDS"),
        ({"source_kind": "client", "source_client": "client_secret"}, "source_client", "MAPPABLE_CLIENT_FIELDS"),
        ({"source_kind": "template", "source_template": "{user:password}"}, "source_template", "MAPPABLE_USER_FIELDS"),
        ({"source_kind": "template", "source_template": "{user.__class__}"}, "source_template", "is not a source"),
        ({"source_kind": "template", "source_template": "{"}, "source_template", "A brace is unmatched"),
        ({"source_kind": "constant", "source_constant": "{"}, "source_constant", "fixed text"),
        ({"source_kind": "constant", "source_constant": "[" * 100_000}, "source_constant", "JSON"),
        ({"source_kind": "constant", "source_constant": "NaN"}, "source_constant", "not support NaN"),
        ({"source_kind": "constant", "source_constant": r'"a\u0000b"'}, "source_constant", "NUL"),
        ({"source_kind": "constant", "source_constant": r'{"\u0000": 1}', "type": "object"}, "source_constant", "NUL"),
        (
            {"source_kind": "constant", "source_constant": '{"a": 1, "a": 2}', "type": "object"},
            "source_constant",
            "“a” occurs twice",
        ),
        ({"type": "object", "when_missing": "default", "default": '{"a": 1, "a": 2}'}, "default", "“a” occurs twice"),
        ({"type": "strings", "when_missing": "default", "default": r'["\u0000"]'}, "default", "NUL"),
        (
            {"transforms-0-step": "json", "transforms-0-text": r'{"kind": "default", "value": "\u0000"}'},
            "transforms",
            "NUL",
        ),
        (
            {"transforms-0-step": "json", "transforms-0-text": '{"kind": "lower", "kind": "lower"}'},
            "transforms",
            "“kind” occurs twice",
        ),
        ({"source_kind": "constant", "source_constant": "5"}, "source_constant", "is not of type"),
        ({"source_kind": "registered", "source_registered": "os.system"}, "source_registered", "registered"),
        ({"source_kind": "groups"}, "type", "strings"),
        ({"source_kind": "nonsense"}, "source_kind", "not one of the available choices"),
        ({"type": "integers", "when_missing": "default", "default": "x"}, "default", "JSON"),
        ({"type": "integer", "when_missing": "default", "default": '"x"'}, "default", "is not of type"),
        ({"transforms-0-step": "cast", "transforms-0-text": "text"}, "transforms", "This must be one of"),
        ({"transforms-0-step": "rename", "transforms-0-text": "a"}, "transforms", "has no ="),
        ({"transforms-0-step": "rename", "transforms-0-text": "a=b\na=c"}, "transforms", "twice"),
        ({"transforms-0-text": "x"}, "transforms", "Choose a transform"),
        ({"transforms-0-step": "eval", "transforms-0-text": "x"}, "transforms", "Unknown transform “eval”"),
        ({"transforms-0-step": "json", "transforms-0-text": "{"}, "transforms", "Not a JSON object"),
        ({"transforms-0-step": "json", "transforms-0-text": "[" * 100_000}, "transforms", "Not a JSON object"),
        ({"transforms-0-step": "json", "transforms-0-text": "5"}, "transforms", "kind"),
        ({"transforms-0-step": "hash", "transforms-0-text": "short"}, "transforms", "16"),
        ({"transforms-0-step": "hash_by_name", "transforms-0-text": "x"}, "transforms", "no key “x” in AT_JWT"),
        ({"transforms-0-step": "keep", "transforms-0-text": "a\\b"}, "transforms", "backslash"),
        ({"scopes": ["no such"]}, "scopes", "not one of the available choices"),
        ({"clients": ["no such"]}, "clients", "not one of the available choices"),
        ({"groups": ["staff"], "tokens_for": "machines"}, "tokens_for", "have no groups"),
        ({"order": "3000000000"}, "order", "integer"),
    ],
)
@pytest.mark.usefixtures("web")
def test_errors_are_at_the_field_and_say_what_is_wrong(admin, values, field, says):
    Group.objects.create(name="staff")
    told = errors(send_new(admin, **{**DEPARTMENT, **values}))
    assert says in told[field]
    assert not ClaimMapper.objects.exists()


def test_errors_of_transforms_are_tied_to_their_inputs(admin):
    steps = {
        "transforms-0-step": "lower",
        "transforms-1-step": "rename",
        "transforms-1-text": "a",
        "transforms-2-step": "hash_by_name",
        "transforms-2-text": "x",
    }
    page = send(admin, ADD, **DEPARTMENT, **steps)
    assert page.context["adminform"].form.errors == {"transforms": ["Correct the transforms 2 and 3."]}
    tags = re.findall(r"<(?:select|textarea|ul|div)[^>]*id_transforms[^>]*>", page.content.decode())
    described = {}
    for tag in tags:
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        described[attributes["id"]] = (attributes.get("aria-invalid"), attributes.get("aria-describedby"))
    whole = "id_transforms_helptext id_transforms_error"
    assert described["id_transforms"] == described["id_transforms-0-text"] == (None, whole)
    assert {"id_transforms_helptext", "id_transforms_error"} <= described.keys()
    for row in (1, 2):
        expected = ("true", f"id_transforms-{row}-error")
        assert described[f"id_transforms-{row}-step"] == described[f"id_transforms-{row}-text"] == expected
        assert f"id_transforms-{row}-error" in described
    assert "id_transforms-0-error" not in described
    text = page.content.decode()
    assert '<label for="id_transforms">Transforms:</label>' in text
    assert "Write “old = new” on each line; “a” has no =." in text.split('id="id_transforms-1-error"')[1][:200]


# Each reserved claim, without the admin: tests/core/claims.
@pytest.mark.parametrize("claim", ["sub", "SUB", "sub.x", "\uff53ub"])
def test_reserved_claim(admin, claim):
    assert "is a protocol claim" in errors(send_new(admin, **{**DEPARTMENT, "claim": claim}))["claim"]
    assert not ClaimMapper.objects.exists()


def test_fields_have_verbose_names(admin):
    page = admin.get(ADD).content.decode()
    assert "profile / department / code (profile.department.code)" in page
    assert "email address (email)" in page
    assert "House (tests.house)" in page
    assert "<code>{user:email}</code>" in page


def test_deleted_choices_stay_until_they_are_removed(admin, settings):
    row = ClaimMapper.objects.create(
        name="old",
        claim="old",
        source={"kind": "user", "path": "email"},
        conditions={"clients": ["gone"], "scopes": ["gone"], "groups": ["gone"], "resource_servers": ["gone"]},
    )
    settings.AT_JWT = {**settings.AT_JWT, "MAPPABLE_USER_FIELDS": ["first_name"]}
    page = admin.get(change(row))
    assert page.content.decode().count("gone (not on this site)") == 1
    for what in ("client", "API", "group"):
        assert f"gone (no such {what})" in page.content.decode()
    assert "may not be mapped (email)" in page.content.decode()
    assert "MAPPABLE_USER_FIELDS" in errors(admin.post(change(row), fill_in(admin, change(row))))["source_user"]


def test_api_registered_by_another_process_can_be_chosen(admin, user, web, monkeypatch):
    registry.current()
    monkeypatch.setattr("django_at_jwt.authorization_server.row_cache._LEAST_AGE", 0)
    # This process receives no signal.
    ResourceServer.objects.bulk_create([ResourceServer(identifier="https://new.example.com/", name="New")])
    row = add(admin, **DEPARTMENT, resource_servers=["https://new.example.com/"])
    assert row.conditions == {"resource_servers": ["https://new.example.com/"]}


def test_invalid_row_can_be_opened_and_corrected(admin):
    row = ClaimMapper.objects.create(name="x", claim="sub", source=["nonsense"], conditions="x", transforms=[{"a": 1}])
    page = admin.get(change(row))
    assert page.status_code == 200
    assert "is a protocol claim" in admin.get(LIST).content.decode()
    sent = {**DEPARTMENT, "name": "x", "transforms-0-step": "", "transforms-0-text": ""}
    assert confirm(admin, send(admin, change(row), **sent)).status_code == 302
    row.refresh_from_db()
    assert (row.claim, row.transforms, row.conditions) == ("department", [], {})


def test_markup_is_escaped(admin, user, web):
    evil = "<script>alert(1)</script>"
    web.application.name = evil
    web.application.save()
    row = add(
        admin,
        name=evil,
        claim=evil,
        source_kind="text",
        source_text=evil,
        clients=[web.application.client_id],
        **{"transforms-0-step": "prefix", "transforms-0-text": evil},
    )
    page = send(admin, change(row), claim=f"{evil}2")
    assert is_shown(page)
    for shown in (page, admin.get(change(row)), admin.get(LIST), admin.get(f"{change(row)[:-7]}delete/")):
        assert evil not in shown.content.decode()
    assert "&lt;script&gt;" in page.content.decode()


class TestList:
    def test_list_describes_sources_and_conditions(self, admin, web, service):
        for number, (source, conditions) in enumerate(
            [
                (
                    {"kind": "user", "path": "profile.department.code"},
                    {
                        "tokens_for": "users",
                        "clients": [web.application.client_id, service.application.client_id],
                        "scopes": ["read"],
                        "resource_servers": ["https://reports.example.com/"],
                        "grants": ["refresh_token"],
                        "groups": ["staff"],
                    },
                ),
                ({"kind": "groups"}, {"scopes": ["read", "write"], "scopes_match": "all"}),
                ({"kind": "permissions"}, {"scopes": ["read", "write"], "tokens_for": "machines"}),
                ({"kind": "constant", "value": "x" * 100}, {}),
                ({"kind": "registered", "name": "tests.house"}, {"groups": ["a", "b"]}),
                ({"kind": "claim", "claim": "sub"}, {"clients": [web.application.client_id]}),
            ]
        ):
            ClaimMapper.objects.create(name=f"m{number}", claim="c", source=source, conditions=conditions)
        text = admin.get(LIST).content.decode()
        for sentence in (
            "the user&#x27;s profile / department / code",
            "For users, for clients authorization-code client and client-credentials client, when scope read was",
            "was granted, for API Reports, by the grant refresh token, for users in the group staff",
            "When the scopes read and write were all granted",
            "For clients acting on their own behalf, when one of the scopes read or write was granted",
            "For all tokens",
            "For users in one of the groups a or b",
            "For client authorization-code client",
            "House",
            "claim sub",
            "x…",
        ):
            assert sentence in text, sentence

    def test_sentences_are_translated(self, admin, monkeypatch):
        ClaimMapper.objects.create(name="m", claim="c", source={"kind": "groups"})
        monkeypatch.setattr("django_at_jwt.admin.claim_mapper.display.gettext", lambda text: f"auf Deutsch: {text}")
        assert "auf Deutsch: For all tokens" in admin.get(LIST).content.decode()

    def test_apis_with_the_same_name_show_their_identifiers(self, admin):
        for identifier in ("https://a.example.com/", "https://b.example.com/"):
            ResourceServer.objects.create(identifier=identifier, name="Notes")
        conditions = {"resource_servers": ["https://b.example.com/"]}
        ClaimMapper.objects.create(name="m", claim="c", source={"kind": "groups"}, conditions=conditions)
        assert "Notes (https://b.example.com/)" in admin.get(LIST).content.decode()

    def test_declared_ones_and_broken_ones(self, admin, settings):
        declared = [
            {"name": "mail", "claim": "mail", "source": {"kind": "user", "path": "email"}, "enabled": False},
            {"name": "secret", "claim": "x", "source": {"kind": "user", "path": "password"}},
        ]
        settings.AT_JWT = {**settings.AT_JWT, "CLAIM_MAPPERS": declared}
        ClaimMapper.objects.create(name="mail", claim="other", source={"kind": "groups"})
        ClaimMapper.objects.create(name="bad", claim="iss", source={"kind": "groups"}, type="strings")
        text = admin.get(LIST).content.decode()
        assert "Declared in the settings" in text
        assert "mail (disabled)" in text
        assert "“password” may not be mapped" in text
        assert "Not applied: the settings declare a mapper with this name." in text
        assert "“iss” is a protocol claim" in text

    @pytest.mark.parametrize(
        ("conditions", "says"),
        [
            ({"scopes": ["gone", "read"]}, None),
            ({"scopes": ["gone", "read"], "scopes_match": "all"}, "this site has no scope gone."),
            ({"scopes": ["gone"]}, "this site has no scope gone."),
            ({"groups": ["gone", "staff"]}, None),
            ({"groups": ["gone", "lost"]}, "this site has no group gone or lost."),
            ({"clients": ["gone"]}, "this site has no client gone."),
            ({"clients": ["gone", "there"]}, None),
            ({"resource_servers": ["https://gone.example.com/"]}, "this site has no API https://gone.example.com/."),
            ({"resource_servers": ["https://api.example.com/", "https://gone.example.com/"]}, None),
        ],
    )
    def test_conditions_that_no_token_can_meet(self, admin, make_client, settings, conditions, says):
        make_client(client_id="there")
        Group.objects.create(name="staff")
        data = {"claim": "c", "source": {"kind": "user", "path": "email"}, "conditions": conditions}
        ClaimMapper.objects.create(name="row", **data)
        settings.AT_JWT = {**settings.AT_JWT, "CLAIM_MAPPERS": [{"name": "declared", **data}]}
        text = admin.get(LIST).content.decode()
        assert text.count("Never applied: ") == (0 if says is None else 2)
        assert says is None or text.count(f"Never applied: {says}") == 2

    def test_number_of_queries_does_not_depend_on_the_rows(self, admin, web, service, monkeypatch):
        # The APIs are read once, however slow this machine is.
        monkeypatch.setattr("django_at_jwt.authorization_server.row_cache._LEAST_AGE", 3600)

        def statements():
            with captured_statements() as captured:
                admin.get(LIST)
            return len(captured)

        def add(name, client):
            conditions = {"clients": [client.application.client_id], "groups": ["staff"]}
            ClaimMapper.objects.create(name=name, claim="c", source={"kind": "groups"}, conditions=conditions)

        add("first", web)
        statements()
        before = statements()
        for number in range(5):
            add(f"m{number}", service)
        assert statements() == before

    def test_inputs_of_the_rows_are_labelled(self, admin):
        ClaimMapper.objects.create(name="<mail>", claim="c", source={"kind": "groups"})
        text = admin.get(LIST).content.decode()
        for field in ("Order", "Enabled"):
            assert f'aria-label="{field} of &lt;mail&gt;"' in text

    def test_each_rule_is_parsed_once(self, admin, monkeypatch):
        for number in range(5):
            ClaimMapper.objects.create(name=f"m{number}", claim="c", source={"kind": "groups"}, type="strings")
        admin.get(LIST)
        parsed = []
        parse = claim_mapper.parse_rule
        monkeypatch.setattr(claim_mapper, "parse_rule", lambda data: [parsed.append(data["name"]), parse(data)][1])
        admin.get(LIST)
        assert sorted(parsed) == [f"m{number}" for number in range(5)]

    def test_list_can_be_filtered_by_source_and_state(self, admin):
        for number, source in enumerate([{"kind": "groups"}, {"kind": "user", "path": "email"}, {"kind": "groups"}]):
            ClaimMapper.objects.create(name=f"m{number}", claim="c", source=source, enabled=number < 2)

        def shown(**query):
            return [row.name for row in admin.get(LIST, query).context["cl"].result_list]

        assert shown(source="groups") == ["m0", "m2"]
        assert shown(source="groups", enabled__exact="1") == ["m0"]
        assert shown(source="template") == []
        assert "No claim mappers yet" not in admin.get(LIST, {"source": "template"}).content.decode()

    def test_empty_list_says_how_to_start(self, admin):
        text = admin.get(LIST).content.decode()
        assert "No claim mappers yet: tokens have protocol claims only." in text
        assert f'<a href="{ADD}">add a claim mapper</a>' in text
        # Once, not also above the list.
        assert text.count(f"{LIST}ready-made/profile/") == 1
        ClaimMapper.objects.create(name="m", claim="c", source={"kind": "groups"})
        text = admin.get(LIST).content.decode()
        assert "No claim mappers yet" not in text
        assert text.count(f"{LIST}ready-made/profile/") == 1

    def test_empty_list_has_no_links_without_the_permission(self, client):
        viewer = get_user_model().objects.create_user("viewer", is_staff=True)
        may(viewer, "view_claimmapper")
        client.force_login(viewer)
        text = client.get(LIST).content.decode()
        assert "No claim mappers yet" in text
        assert ADD not in text
        assert "ready-made/" not in text


class TestReadyMade:
    @pytest.mark.parametrize("name", READY_MADE)
    def test_is_reviewed_and_added(self, admin, user, web, name):
        address = f"{LIST}ready-made/{name}/"
        assert address in admin.get(LIST).content.decode()
        page = admin.get(address)
        names = [data["name"] for data in READY_MADE[name]]
        for each in names:
            assert each in page.content.decode()
        assert not ClaimMapper.objects.exists()
        assert confirm(admin, page).status_code == 302
        assert sorted(ClaimMapper.objects.values_list("name", flat=True)) == sorted(names)
        assert LogEntry.objects.filter(content_type__model="claimmapper").count() == len(names)
        # A second time, nothing is left to add.
        again = admin.get(address).content.decode()
        assert "already exists" in again
        assert "Confirm and save" not in again

    def test_unknown_and_unconfirmed(self, admin):
        assert admin.get(f"{LIST}ready-made/nothing/").status_code == 404
        assert is_shown(admin.post(f"{LIST}ready-made/email/"))
        assert not ClaimMapper.objects.exists()

    def test_sets_need_the_permission_to_add_mappers(self, client, staff):
        assert client.get(f"{LIST}ready-made/email/").status_code == 403
        may(staff, "view_claimmapper")
        assert client.get(f"{LIST}ready-made/email/").status_code == 403
        assert "ready-made" not in client.get(LIST).content.decode()


class TestPermissions:
    def test_without_any(self, client, staff):
        row = ClaimMapper.objects.create(name="m", claim="c", source={"kind": "groups"}, type="strings")
        for address in (LIST, ADD, change(row), f"{change(row)[:-7]}delete/"):
            assert client.get(address).status_code == 403
            assert client.post(address, {**DEPARTMENT, "post": "yes"}).status_code == 403
        assert ClaimMapper.objects.get().claim == "c"

    def test_history_shows_that_the_key_of_a_hash_changed_but_not_the_key(self, admin):
        hashed = {"kind": "hash", "key": "a key of 16 letters"}
        row = ClaimMapper.objects.create(
            name="mail", claim="mail", source={"kind": "user", "path": "email"}, transforms=[hashed]
        )
        page = send(admin, change(row), order="5", **{"transforms-0-text": "another key of 16 letters"})
        assert confirm(admin, page).status_code == 302
        message = LogEntry.objects.get(object_repr="mail").get_change_message()
        assert "Order changed from “0” to “5”." in message
        assert "Transforms changed from" in message
        assert "16 letters" not in message
        assert "16 letters" not in text_of(page)

    @pytest.mark.parametrize("lookup", ["transforms__icontains=a key", "transforms__0__key__startswith=a"])
    def test_no_filter_reveals_the_key_of_a_hash(self, lookup, client, staff):
        may(staff, "view_claimmapper")
        hashed = {"kind": "hash", "key": "a key of 16 letters"}
        ClaimMapper.objects.create(name="mail", claim="mail", source={"kind": "user"}, transforms=[hashed])
        assert client.get(f"{LIST}?{lookup}").status_code == 400
        assert client.get(f"{LIST}?enabled__exact=1&source=user").status_code == 200

    def test_view_permission_shows_sentences(self, client, staff):
        row = ClaimMapper.objects.create(name="m", claim="c", source={"kind": "groups"}, type="strings")
        may(staff, "view_claimmapper")
        page = client.get(change(row))
        assert page.status_code == 200
        assert "the user&#x27;s groups" in page.content.decode()
        assert "For all tokens" in page.content.decode()
        assert client.post(change(row), DEPARTMENT).status_code == 403
        listed = client.post(LIST, {"form-TOTAL_FORMS": 1, "form-0-id": row.pk, "form-0-order": 5, "_save": "Save"})
        row.refresh_from_db()
        assert row.order == 0
        assert listed.status_code in {200, 302, 403}


class TestPreview:
    """The preview button below the form, which uses the unsaved mapper."""

    def test_with_unsaved_values(self, admin, user, web):
        Profile.objects.create(user=user, department=Department.objects.create(code="R+D"))
        page = send(admin, ADD, **DEPARTMENT, _preview="Preview", _save=None)
        assert "with the unsaved mapper" in page.content.decode()
        chosen = {"preview-typed": "on", "preview-user_name": user.get_username()}
        asked = {**fields_of(page), **chosen, "preview-client_id": web.application.client_id}
        shown = admin.post(ADD, asked)
        claims = {claim.name: claim.value for claim, _ in shown.context["claims"]}
        assert claims["department"] == "R+D"
        assert not ClaimMapper.objects.exists()
        # Further previews keep the same unsaved values.
        again = admin.post(ADD, {**fields_of(shown), **chosen, "preview-client_id": "nobody"})
        assert "claims" not in again.context
        assert not ClaimMapper.objects.exists()

    def test_leads_back_to_the_form(self, admin, user, web):
        page = send(admin, ADD, **DEPARTMENT, _preview="Preview", _save=None)
        text = page.content.decode()
        assert f'<a href="{LIST}">Claim mappers</a>' in text
        assert '<input type="submit" name="_back"' in text
        chosen = {"preview-typed": "on", "preview-user_name": "alice"}
        shown = admin.post(ADD, {**fields_of(page), **chosen, "preview-client_id": web.application.client_id})
        back = admin.post(ADD, {**fields_of(shown), "_back": "Back to the form"})
        assert errors(back) == {}
        assert "Your changes are not saved yet." in back.content.decode()
        assert "errornote" not in back.content.decode()
        assert "<title>Error:" not in back.content.decode()
        assert fields_of(back)["name"] == ["department"]
        assert fields_of(back)["source_user"] == ["profile.department.code"]
        assert not ClaimMapper.objects.exists()

    def test_viewer_of_the_mapper_has_no_form_to_preview(self, client, user, web):
        row = ClaimMapper.objects.create(name="mail", claim="email", source={"kind": "user", "path": "email"})
        viewer = get_user_model().objects.create_user("viewer", is_staff=True)
        names = ["view_claimmapper", "add_claimmapper", "preview_claimmapper"]
        may(viewer, *names)
        client.force_login(viewer)
        text = client.get(change(row)).content.decode()
        # Without a form there are no unsaved values to preview, only the stored mapper.
        assert "_preview" not in text
        assert reverse("admin:django_at_jwt_preview") in text.split('class="object-tools"')[1]
        assert "_preview" in client.get(ADD).content.decode()

    def test_form_with_errors_is_shown_again(self, admin):
        page = send(admin, ADD, **{**DEPARTMENT, "claim": "sub"}, _preview="Preview", _save=None)
        assert "claim" in errors(page)
        assert not ClaimMapper.objects.exists()

    def test_needs_the_permission(self, client, user):
        editor = get_user_model().objects.create_user("editor", is_staff=True)
        names = ["add_claimmapper", "view_claimmapper"]
        may(editor, *names)
        client.force_login(editor)
        assert "_preview" not in client.get(ADD).content.decode()
        assert send(client, ADD, **DEPARTMENT, _preview="Preview", _save=None).status_code == 403
        assert not ClaimMapper.objects.exists()
