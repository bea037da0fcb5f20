"""The pages on resource servers and subjects: their settings, tables and facts."""

from __future__ import annotations

import base64
import re
import sys
from datetime import timedelta
from types import ModuleType, SimpleNamespace

import pytest
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.core.management import call_command

from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.core.audience import resolve_audience
from django_at_jwt.core.errors import IssuanceError
from django_at_jwt.core.resource_servers import (
    _OPTIONS,
    ResourceServerConfig,
    ResourceServers,
    declared_resource_servers,
)
from django_at_jwt.models import ResourceServer as Row
from django_at_jwt.resource_server.users.lookup import user_for_local_subject
from tests.conftest import decoded

from .blocks import RESOURCE_SERVERS, SUBJECTS, blocks_of, table_rows
from .test_documented_facts import let_time_pass

WORDS = " ".join(RESOURCE_SERVERS.read_text().split())
SITE_SCOPES = "read write openid reports:read export mail:send pay old"


def settings_with(page, word):
    [block] = [block for block in blocks_of(page) if block.language == "python" and word in block.text]
    values = {"AT_JWT": {}}
    exec(block.text, values)
    return values["AT_JWT"]


def words_in(cell):
    return set(cell.replace("`", "").split()) - {"-"}


def user_of(subject, token=""):
    """The user that an API of this project takes a subject for."""
    return user_for_local_subject(SimpleNamespace(subject=subject), token)


@pytest.mark.django_db
@pytest.mark.usefixtures("signing_keys")
def test_added_scopes_can_be_requested(service, settings):
    [setting, lines] = blocks_of(RESOURCE_SERVERS.pages[1])
    values = {"OAUTH2_PROVIDER": {**settings.OAUTH2_PROVIDER}}
    exec(setting.text, values)
    settings.OAUTH2_PROVIDER = values["OAUTH2_PROVIDER"]
    scopes = dict(line.split(" ", 1) for line in lines.text.splitlines())
    row = Row.objects.create(
        identifier="https://invoices.example.com/", name="Invoices", scopes=scopes, open_to_all_clients=True
    )
    token = service.token("client_credentials", scope=" ".join(scopes)).json()["access_token"]
    assert decoded(token)[1]["aud"] == row.identifier
    row.delete()
    assert service.token("client_credentials", scope=" ".join(scopes)).json()["error"] == "invalid_scope"


class TestDecisionPath:
    values = settings_with(RESOURCE_SERVERS, '"Payments"')
    registry = ResourceServers.of(
        declared_resource_servers(values["RESOURCE_SERVERS"]), default=values["DEFAULT_RESOURCE"]
    )
    identifiers = {server.name: server.identifier for server in registry}
    rows = table_rows(RESOURCE_SERVERS, columns=5)

    def test_their_scopes_can_be_asked_for(self):
        [block] = [block for block in blocks_of(RESOURCE_SERVERS) if 'OAUTH2_PROVIDER["SCOPES"]' in block.text]
        exec(block.text, {"OAUTH2_PROVIDER": (provider := {"SCOPES": {}})})
        assert set(provider["SCOPES"]) == {scope for server in self.registry for scope in server.scopes or ()}

    def named(self, cell):
        return [self.identifiers[name] for name in cell.split(", ") if name != "-"]

    @pytest.mark.parametrize("row", rows, ids=lambda row: " ".join(row[:3]))
    def test_row(self, row):
        client_id, resources, asked, audience, outcome = row
        asked_scopes = words_in(asked)
        request = {
            "client_id": client_id,
            "resources": self.named(resources),
            "scopes": sorted(asked_scopes or SITE_SCOPES.split()),
            "asked_scopes": sorted(asked_scopes),
        }
        if outcome.startswith("`invalid_"):
            assert audience == "-"
            with pytest.raises(IssuanceError) as refused:
                resolve_audience(self.registry, **request)
            assert outcome == f"`{refused.value.code}`"
            return
        resolved = resolve_audience(self.registry, **request)
        assert resolved.identifiers == self.named(audience)
        assert set(resolved.scopes) == words_in(outcome)

    def test_each_api_and_each_outcome_is_there(self):
        assert {name for row in self.rows for name in row[1].split(", ")} == {*self.identifiers, "-"}
        assert {"`invalid_scope`", "`invalid_target`"} <= {row[4] for row in self.rows}


API, OTHER, SHUT, ALONE = (f"https://{name}.example.com/" for name in ("api", "other", "shut", "alone"))


class TestErrors:
    registry = ResourceServers.of(
        [
            ResourceServerConfig(identifier=API, scopes={"read": "", "both": ""}),
            ResourceServerConfig(identifier=OTHER, scopes={"write": "", "both": ""}),
            ResourceServerConfig(identifier=SHUT, scopes={"shut": ""}, client_ids=frozenset()),
            ResourceServerConfig(identifier=ALONE, scopes={}, isolated=True, algorithm="ES256"),
        ],
        default=SHUT,
    )
    # What is asked for in each row: resources, scopes, what was granted.
    cases = {
        "a resource that is not an absolute URI, or has a fragment": ([f"{API}#a"], "", None),
        "a resource that is not registered, disabled, or not for this client": ([SHUT], "", None),
        "more than was granted": ([API], "", [OTHER]),
        "nothing, and one of several granted resources no longer exists": ([], "", [API, SHUT]),
        "a scope of an API that is not for this client": ([], "shut", None),
        "nothing, and the default is not for this client": ([], "", None),
        "scopes of different APIs": ([], "read write", None),
        "scopes that several APIs have": ([], "both", None),
        "several APIs, and a scope that two of them have": ([API, OTHER], "both", None),
        "several APIs, and one is isolated": ([API, ALONE], "", None),
        "several APIs with different kinds of token": ([API, ALONE], "", None),
    }
    rows = {row[0]: row[1:] for row in table_rows(RESOURCE_SERVERS, columns=3) if row[1].startswith("`invalid")}

    def test_the_table_has_them_all(self):
        assert self.rows.keys() == self.cases.keys()

    @pytest.mark.parametrize("words", cases)
    def test_row(self, words):
        resources, scopes, granted = self.cases[words]
        registry = self.registry
        if "kinds" in words:
            shared = ResourceServerConfig(identifier=ALONE, scopes={}, algorithm="ES256")
            registry = ResourceServers.of([*registry, shared], default=SHUT)
        with pytest.raises(IssuanceError) as refused:
            resolve_audience(
                registry,
                client_id="me",
                resources=resources,
                scopes=scopes.split(),
                asked_scopes=scopes.split(),
                granted=granted,
            )
        code, description = self.rows[words]
        assert f"`{refused.value.code}`" == code
        assert re.fullmatch(re.escape(description).replace("…", ".*"), refused.value.description)
        assert refused.value.status == 400


class TestRegistering:
    def test_each_option_is_named(self):
        listed = re.search(r"(`name`, `description`.+?) are all optional", WORDS)[1]
        assert set(re.findall(r"`(\w+)`", listed)) == {*_OPTIONS}

    def test_each_field_is_named(self):
        fields = {field.verbose_name for field in Row._meta.fields} - {"ID"}
        rows = [row[0] for row in table_rows(RESOURCE_SERVERS, columns=3) if not row[1].startswith("`invalid")]
        assert {name for cell in rows for name in cell.split(", ")} == fields

    def test_fixture(self, db, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        [block] = [block for block in blocks_of(RESOURCE_SERVERS) if "dumpdata" in block.text]
        dump, load = block.commands
        Row.objects.create(identifier=API, name="Here", lifetime=60)
        _, _, *arguments = dump.split(" > ")[0].split()
        call_command(*arguments, output=dump.split(" > ")[1])
        Row.objects.all().delete()
        Row.objects.create(identifier=OTHER, name="Another, so that the primary keys differ")
        Row.objects.create(identifier=API, name="There")
        call_command(*load.split()[2:], verbosity=0)
        assert dict(Row.objects.values_list("identifier", "name"))[API] == "Here"
        assert Row.objects.count() == 2

    @pytest.mark.django_db
    def test_second_algorithm_is_brought_in_without_a_gap(self, signing_keys, service, settings):
        def algorithm():
            answer = service.token("client_credentials", resource=API)
            assert answer.status_code == 200, answer.content
            return decoded(answer.json()["access_token"])[0]["alg"]

        row = Row.objects.create(identifier=API, name="One", open_to_all_clients=True)
        settings.AT_JWT = {**settings.AT_JWT, **settings_with(RESOURCE_SERVERS, "SIGNING_ALGORITHMS")}
        call_command("rotate_signing_keys")
        row.algorithm = "ES256"
        row.save()
        assert algorithm() == "RS256"
        let_time_pass(days=7, minutes=1)
        assert algorithm() == "ES256"
        # If it is removed too early, the check names it, and no tokens are issued.
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["RS256"]}
        key_store.forget()
        assert "django_at_jwt.E012" in {message.id for message in run_checks()}
        assert service.token("client_credentials", resource=API).status_code == 503

    def test_lifetime_of_the_example(self):
        reports = TestDecisionPath.registry.by_identifier["https://www.example.com/reports/"]
        assert timedelta(seconds=reports.lifetime) == timedelta(minutes=5)


@pytest.mark.django_db
class TestSubjects:
    @pytest.fixture
    def site(self, monkeypatch):
        [block] = [block for block in blocks_of(SUBJECTS) if block.language == "python" and "subjects.py" in block.text]
        monkeypatch.setitem(sys.modules, "mysite", ModuleType("mysite"))
        monkeypatch.setitem(sys.modules, "mysite.subjects", module := ModuleType("mysite.subjects"))
        exec(block.text, vars(module))

    def test_callable_and_its_way_back(self, site, signing_keys, web, user, make_client, settings):
        settings.AT_JWT = {**settings.AT_JWT, **settings_with(SUBJECTS, "USER_BY_SUBJECT")}
        subject = decoded(web.code_flow(user).json()["access_token"])[1]["sub"]
        assert subject == f"user-{user.pk}"
        assert user_of(subject) == user
        for nobody in ("user-", "user-x", str(user.pk), f"client-{user.pk}"):
            assert user_of(nobody) is None
        evil = make_client("client-credentials", client_id=subject)
        assert evil.token("client_credentials").json()["error"] == "invalid_grant"
        # Without the inverse, the client cannot be told from the user in advance; the other rules hold.
        del (values := dict(settings.AT_JWT))["USER_BY_SUBJECT"]
        settings.AT_JWT = values
        assert evil.token("client_credentials").status_code == 200

    def test_pairwise(self, signing_keys, make_client, user, settings, monkeypatch):
        [command] = [line for block in blocks_of(SUBJECTS) if block.language == "console" for line in block.commands]
        assert "secrets.token_bytes(32)" in command
        monkeypatch.setenv("PAIRWISE_SUBJECT_KEY", base64.urlsafe_b64encode(bytes(32)).decode())
        settings.AT_JWT = {**settings.AT_JWT, **settings_with(SUBJECTS, "PAIRWISE")}
        hosts = {"one": "https://client.example.com/callback", "two": "https://client.example.com/callback"}
        tokens = {
            name: make_client(client_id=name, redirect_uris=uri).code_flow(user).json()["access_token"]
            for name, uri in {**hosts, "shop": hosts["one"]}.items()
        }
        subjects = {name: decoded(token)[1]["sub"] for name, token in tokens.items()}
        assert subjects["one"] == subjects["two"] != subjects["shop"]
        assert {len(subject) for subject in subjects.values()} == {43}
        assert user_of(subjects["one"], tokens["one"]) == get_user_model().objects.get()

    def test_apis_of_this_project_find_the_user_by_the_rule(self, client, signing_keys, web, user, settings):
        named_like_a_key = get_user_model().objects.create_user(str(user.pk))
        settings.AT_JWT = {**settings.AT_JWT, "SUBJECT": "username"}
        token = web.code_flow(named_like_a_key).json()["access_token"]
        answer = client.get("/whoami/", headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["user"] == named_like_a_key.username

    def test_token_from_before_a_change_of_the_numbering(self, signing_keys, web, user, settings):
        """What the page warns of: the lookup cannot know which numbering a token was made under."""
        text = " ".join(SUBJECTS.read_text().split())
        assert "Never move from one numbering to another in one step" in text
        before = decoded(web.code_flow(user).json()["access_token"])[1]["sub"]
        other = get_user_model().objects.create_user(before)
        settings.AT_JWT = {**settings.AT_JWT, "SUBJECT": "username"}
        assert user_of(before) == other
