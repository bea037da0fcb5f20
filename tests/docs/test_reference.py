"""The reference pages are complete: they name everything that exists, and nothing else."""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from datetime import timedelta
from importlib import import_module
from inspect import isfunction, unwrap
from pkgutil import iter_modules

import pytest
from django.core.checks import run_checks
from django.core.management import BaseCommand, find_commands, load_command_class

import django_at_jwt
from django_at_jwt import testing
from django_at_jwt.authorization_server import rfc9700
from django_at_jwt.checks import ALL_CHECKS, DEPLOYMENT_CHECKS, CheckId
from django_at_jwt.conf import RFC9700_PROFILE, problems_in
from django_at_jwt.conf.issuers import _ISSUER_OPTIONS
from django_at_jwt.conf.loader import _FIELDS
from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.key_lifecycle import PUBLISHED_STATES, KeyState
from django_at_jwt.events import ALL_EVENTS
from django_at_jwt.metrics.definitions import EVENT_METRICS
from django_at_jwt.metrics.gauges import GAUGES
from django_at_jwt.resource_server.remote import discovery
from docs.commands import commands_as_markdown
from docs.monitoring import events_as_markdown, metrics_as_markdown

from .blocks import (
    ADDRESSES,
    AUTHENTICATION,
    BROWSER_APPS_AND_DEVICES,
    CHANGELOG,
    CLAIM_MAPPERS,
    CLIENT_METADATA,
    CLIENT_REGISTRATION,
    CONTRIBUTING,
    DATABASES,
    DOCS,
    EXISTING_CLIENTS,
    HAND_MADE_JWTS,
    HEALTH,
    INTROSPECTION,
    ISSUE_FROM_CODE,
    KEY_LEAKED,
    KEYS,
    MCP_SERVERS,
    MONITORING,
    OTHER_FRAMEWORKS,
    PAGES,
    README,
    RESOURCE_SERVERS,
    REVOCATION_DOCUMENT,
    REVOKE_TOKENS,
    RFC9700,
    ROLLING_DEPLOYS,
    ROOT,
    RUN_IN_A_PROJECT,
    SCHEDULED_TASKS,
    SETTINGS,
    SUBJECTS,
    SYSTEM_CHECKS,
    THROTTLING,
    TOOLKIT_TESTS,
    WITHOUT_ROWS,
    blocks_of,
    table_rows,
)


def code(cell: str) -> str:
    match = re.fullmatch(r"`(.+?)`", cell)
    assert match, cell
    return match[1]


class TestSettings:
    # What the page says of each setting: its type and its default.
    said = re.findall(
        r"^### `(\w+)`\n\nType: (.+)\. Default: `(.+)`( \(seconds\))?\.$", SETTINGS.read_text(), re.MULTILINE
    )
    said_of = {name: (kind, default) for name, kind, default, _ in said}
    # A value that each type of the page takes, and one that it does not.
    types = {
        "an absolute URI without a fragment": ("https://api.example.com/", "api.example.com"),
        "an absolute URI without a fragment, or a list of them": (["https://api.example.com/", "app://api/"], []),
        "a dict from absolute URIs to dicts": (
            {"https://api.example.com/": {"resource_name": "Orders"}},
            {"https://api.example.com/": "Orders"},
        ),
        "a dict of absolute URIs without a fragment, or a list of them": (
            {"https://api.example.com/": {"scopes": ["read"]}},
            "https://api.example.com/",
        ),
        "a field of the user model, or a dotted path": ("package.module.name", "no name"),
        "a key of 32 bytes in base64url": ("A" * 43, "A" * 20),
        "a dict of hosts or addresses": ({"a client": "https://www.example.com/"}, {"a client": ""}),
        "a list of names": (["ES256", "RS256"], "RS256"),
        "a list of strings": (["a kid"], [1]),
        "a duration": (timedelta(hours=1), 1.5),
        "a duration of at most 600 seconds": (600, 601),
        "a list of keys of 32 bytes in base64url": (["A" * 43], ["A" * 20]),
        "a whole number of bytes": (1000, 1000.0),
        "a dict of lists of strings": ({"a name": ["pwd"]}, {"a name": "pwd"}),
        "a dict of lists of strings, a dotted path": ("package.module.name", {"a name": [1]}),
        "a non-negative integer": (0, -1),
        '`"local"` or `"stateless"`': ("stateless", "created"),
        '`"offline"`, `"deny_list"` or `"row"`': ("row", "introspect"),
        '`"refuse"` or `"accept"`': ("accept", "open"),
        "a dict of texts of 16 to 200 characters": ({"a name": "k" * 16}, {"a name": "k" * 15}),
        "a list of claim mappers": (
            [{"name": "tier", "claim": "tier", "source": {"kind": "constant", "value": "gold"}}],
            [{"name": "tier", "claim": "sub", "source": {"kind": "constant", "value": "gold"}}],
        ),
        '`"refuse"` or `"drop_optional"`': ("drop_optional", "drop"),
        "a dotted path": ("package.module.name", "name"),
        "`True` or `False`": (True, 1),
        '`True`, `False` or `"users"`': ("users", 1),
        "an alias": ("default", None),
        '`"closed"`, `"users"` or `"open"`': ("users", "anyone"),
        "a rate": ("5/minute", "5 per minute"),
        'a list of origins, or `"*"`': (["https://app.example.com"], ["https://app.example.com/"]),
        "a positive duration": (timedelta(seconds=1), 0),
        "a dict of issuers": ({"https://a": {"audience": "https://b/"}}, ["https://a"]),
    }

    def test_each_is_there_once(self):
        assert sorted(name for name, *_ in self.said) == sorted(_FIELDS)

    @pytest.mark.parametrize("name", _FIELDS)
    def test_default(self, name):
        written = _FIELDS[name].metadata["read"](eval(self.said_of[name][1], {"timedelta": timedelta}))
        assert written == _FIELDS[name].default
        assert type(written) is type(_FIELDS[name].default)

    @pytest.mark.parametrize("name", _FIELDS)
    def test_type(self, name):
        kind, default = self.said_of[name]
        takes, takes_not = self.types[kind.removesuffix(", or `None`")]
        assert list(problems_in({name: takes})) == []
        assert list(problems_in({name: takes_not})) != []
        takes_none = not list(problems_in({name: None}))
        assert takes_none == (default == "None")

    def test_options_of_an_issuer(self):
        text = SETTINGS.read_text().split("### `ISSUERS`")[1].split("### ")[0]
        said = [
            name for row in re.findall(r"^\| (`.+?) \|", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
        ]
        assert sorted(said) == sorted(_ISSUER_OPTIONS)


class TestSystemChecks:
    text = SYSTEM_CHECKS.read_text()

    def test_each_is_there_once(self):
        headings = re.findall(r"^### (\S+)$", self.text, re.MULTILINE)
        assert sorted(headings) == sorted(CheckId)

    def test_each_stands_under_its_level(self):
        errors, warnings, production = re.split(r"^## .*$", self.text, flags=re.MULTILINE)[1:]
        for check in CheckId:
            level = check.removeprefix("django_at_jwt.")[0]
            section = production if check in self.ids(DEPLOYMENT_CHECKS) else {"E": errors, "W": warnings}[level]
            assert f"### {check}\n" in section

    def test_none_is_both_for_production_and_for_every_day(self):
        assert self.ids(DEPLOYMENT_CHECKS)
        assert not self.ids(ALL_CHECKS) & self.ids(DEPLOYMENT_CHECKS)

    def ids(self, functions):
        """Return the ids in these checks and in the private functions of their modules that they call."""
        names = set()
        for function in map(unwrap, functions):
            called = set(function.__code__.co_names)
            helpers = [vars(sys.modules[function.__module__]).get(name) for name in called if name.startswith("_")]
            names |= called.union(*(each.__code__.co_names for each in helpers if isfunction(each)))
        return {CheckId[name] for name in names & CheckId.__members__.keys()}


class TestCommands:
    text = commands_as_markdown()

    def test_each_is_there_once(self):
        headings = re.findall(r"^## `(\w+)`$", self.text, re.MULTILINE)
        assert headings == sorted(find_commands(str(ROOT / "django_at_jwt" / "management")))

    def test_each_and_each_argument_is_explained(self):
        for section in self.text.split("## ")[1:]:
            _, blank, summary, *_ = section.splitlines()
            assert blank == ""
            assert summary.endswith(".")
        for row in re.findall(r"^\| `.*$", self.text, re.MULTILINE):
            assert re.fullmatch(r"\| `.+` \| [A-Z].{10,}\. \|", row), row


class TestEventsAndMetrics:
    def test_each_event_and_each_field_is_explained(self):
        sections = dict(re.findall(r"^## `(\S+)`\n(.*?)(?=^## |\Z)", events_as_markdown(), re.MULTILINE | re.DOTALL))
        assert sections.keys() == {event.name for event in ALL_EVENTS}
        for event in ALL_EVENTS:
            explained = re.findall(r"^\| `(\w+)` \| .{5,}[^.] \|$", sections[event.name], re.MULTILINE)
            assert explained == [field.name for field in fields(event)]

    def test_each_metric_is_there_once(self):
        rows = re.findall(r"^\| `django_at_jwt_(\w+?)(?:_total)?` \|", metrics_as_markdown(), re.MULTILINE)
        assert rows == [metric.name for metric in (*EVENT_METRICS, *GAUGES)]

    def test_each_alert_has_a_remedy(self):
        alerts = re.findall(r"- alert: (\w+)", (DOCS / "monitoring" / "alerts.yml").read_text())
        said = [name for row in table_rows(MONITORING, columns=2) for name in re.findall(r"`(AtJwt\w+)`", row[0])]
        assert sorted(said) == sorted(alerts)


class TestPublicApi:
    text = (DOCS / "reference" / "public-api.md").read_text()

    def test_each_module_is_there_once(self):
        modules = [each.name for each in iter_modules(django_at_jwt.__path__) if not each.ispkg and each.name != "apps"]
        facades = ["django_at_jwt", *(f"django_at_jwt.{name}" for name in modules)]
        facades += ["django_at_jwt.events", "django_at_jwt.testing", "django_at_jwt.testing.fixtures"]
        assert sorted(re.findall(r"^### `(\S+)`$", self.text, re.MULTILINE)) == sorted(facades)

    @pytest.mark.parametrize("module", [django_at_jwt, testing], ids=lambda module: module.__name__)
    def test_a_shell_completes_names_that_are_imported_on_first_access(self, module):
        assert set(module.__all__) <= set(dir(module))

    @pytest.mark.parametrize("module", ["oauth2_views", "validators"])
    def test_each_class_is_there(self, module):
        named = re.findall(rf"^.. auto(?:class|function):: django_at_jwt\.{module}\.(\w+)$", self.text, re.MULTILINE)
        assert named == import_module(f"django_at_jwt.{module}").__all__

    def test_arguments_of_the_signal(self, monkeypatch):
        sent = []
        monkeypatch.setattr(discovery.issuer_fetched, "send_robust", lambda **arguments: sent.append(arguments))
        with discovery.reported("https://as.example.com", discovery.METADATA):
            pass
        rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", self.text, re.MULTILINE))
        assert {"sender", *rows} == {*sent[0]}
        outcomes = {discovery.FETCHED, discovery.UNCHANGED, discovery.FAILED}
        assert {*re.findall("`(.+?)`", rows["outcome"])} == outcomes
        assert {*re.findall("`(.+?)`", rows["what"])} == {discovery.METADATA, discovery.JWK_SET}


def is_post_quantum(algorithm):
    return ALGORITHMS[algorithm].key_type == "AKP"


class TestKeys:
    def test_states(self):
        rows = {row[0]: row[1:3] for row in table_rows(KEYS, columns=4)}
        assert rows.keys() == set(KeyState)
        for state, (published, signs) in rows.items():
            assert published == ("yes" if state in PUBLISHED_STATES else "no")
            assert signs == ("yes" if state == KeyState.SIGNING else "no")

    def test_algorithms(self):
        text = " ".join(KEYS.read_text().split())
        listed = re.search(r"## Supported algorithms (.+?)\. `none`", text)[1]
        everywhere, _, where_installed = listed.partition("; also ")
        assert re.findall(r"`(.+?)`", everywhere) == [name for name in ALGORITHMS if not is_post_quantum(name)]
        assert {name for name in ALGORITHMS if is_post_quantum(name)} <= {*re.findall(r"`(.+?)`", where_installed)}

    def test_options_of_the_command(self):
        def options(command):
            actions = command.create_parser("manage.py", "rotate_signing_keys")._actions
            return {option for action in actions for option in action.option_strings}

        own = options(load_command_class("django_at_jwt", "rotate_signing_keys")) - options(BaseCommand())
        assert {code(row[0]).split()[0] for row in table_rows(KEYS, columns=2) if row[0].startswith("`--")} == own


class TestRfc9700:
    def test_settings_of_the_profile(self):
        rows = {code(row[0]): eval(code(row[1])) for row in table_rows(RFC9700, columns=4)}
        assert rows == dict(RFC9700_PROFILE)

    def test_checks_whose_clients_are_listed(self):
        text = SYSTEM_CHECKS.read_text()
        settings_of = dict(
            re.findall(
                r'^### django_at_jwt\.(W1(?:1\d|20))$.*?OAUTH2_PROVIDER\["(\w+)"\]', text, re.DOTALL | re.MULTILINE
            )
        )
        assert "this setting and those of W112 to W114 and W117 to W119" in text
        listed = ["W111", "W112", "W113", "W114", "W117", "W118", "W119"]
        assert {settings_of[check] for check in listed} == rfc9700._FINDERS.keys()

    @pytest.mark.django_db
    def test_silenced_check(self, settings):
        [block] = [block for block in blocks_of(RFC9700) if block.language == "python"]
        written = {}
        exec(block.text, written)
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **RFC9700_PROFILE}
        messages = run_checks(tags=["security"], include_deployment_checks=True)
        found = [message for message in messages if message.id.startswith("oauth2_provider.")]
        # The other one is about http redirect URIs, which the page leaves to the site.
        assert sorted(message.id for message in found) == ["oauth2_provider.E001", "oauth2_provider.W008"]
        settings.SILENCED_SYSTEM_CHECKS = written["SILENCED_SYSTEM_CHECKS"]
        assert [message.id for message in found if not message.is_silenced()] == ["oauth2_provider.W008"]


class TestToolkitTests:
    def test_as_many_as_failed(self):
        totals = {name: numbers for name, *numbers in table_rows(TOOLKIT_TESTS, columns=4)}
        cells = [cell for cell, _ in table_rows(TOOLKIT_TESTS, columns=2)]
        assert sum(len(re.findall(r"`test_\w+`", cell)) for cell in cells) == int(totals["with this app"][1])
        run = [sum(map(int, numbers)) for numbers in totals.values()]
        assert run[0] == run[1]


class TestBlocks:
    def test_each_block_of_python_is_run_somewhere(self):
        in_a_project = {page for topic in RUN_IN_A_PROJECT for page in topic.pages}
        # The other files that a test runs, by topic.
        modules = {
            ADDRESSES: {
                "mysite/inventory.py",
                "mysite/metadata.py",
                "mysite/mixed.py",
                "mysite/oauth.py",
                "mysite/payments.py",
                "mysite/urls.py",
            },
            AUTHENTICATION: {"mysite/contexts.py", "mysite/logins.py"},
            CLAIM_MAPPERS: {"mysite/tenants.py"},
            CLIENT_METADATA: {"mysite/client_metadata.py"},
            EXISTING_CLIENTS: {"mysite/validators.py"},
            BROWSER_APPS_AND_DEVICES: set(),
            CLIENT_REGISTRATION: set(),
            DATABASES: {"mysite/routers.py", "mysite/settings_shop.py"},
            KEYS: set(),
            ROLLING_DEPLOYS: set(),
            HAND_MADE_JWTS: {
                "mysite/after.py",
                "mysite/before.py",
                "mysite/both.py",
                "mysite/edx.py",
                "mysite/generators.py",
                "mysite/moving.py",
            },
            HEALTH: {"mysite/health.py", "mysite/urls.py"},
            INTROSPECTION: set(),
            ISSUE_FROM_CODE: {"mysite/exports.py", "mysite/lifetimes.py"},
            KEY_LEAKED: set(),
            MCP_SERVERS: {"fastmcp_server.py", "mcp_server.py", "mysite/fastmcp_server.py", "mysite/mcp_views.py"},
            MONITORING: {"mysite/receivers.py", "mysite/urls.py", "gunicorn.conf.py"},
            OTHER_FRAMEWORKS: {
                "fastapi_app.py",
                "mysite/adrf_views.py",
                "mysite/asgi.py",
                "mysite/graphene_view.py",
                "mysite/graphql.py",
                "mysite/ninja_api.py",
                "mysite/tokens.py",
                "mysite/urls.py",
            },
            RESOURCE_SERVERS: set(),
            REVOCATION_DOCUMENT: {"revoked.py"},
            REVOKE_TOKENS: {"mysite/admin.py", "mysite/dismissals.py"},
            RFC9700: set(),
            SCHEDULED_TASKS: {"mysite/tasks.py", "mysite/schedules.py"},
            SETTINGS: set(),
            THROTTLING: {"mysite/throttling.py"},
            WITHOUT_ROWS: set(),
            SUBJECTS: {"mysite/subjects.py", "mysite/mailboxes.py"},
        }
        run = {page: files | {"mysite/settings.py"} for topic, files in modules.items() for page in topic.pages}
        blocks = [(page, block) for page in PAGES if page not in in_a_project for block in blocks_of(page)]
        python = [(page, block) for page, block in blocks if block.language == "python"]
        assert [str(block) for page, block in python if block.file not in run.get(page, ())] == []

    @pytest.mark.parametrize("page", [README, CHANGELOG, CONTRIBUTING], ids=lambda page: page.name)
    def test_links_of_pages_outside_sphinx_lead_somewhere(self, page):
        targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
        inside = [target for target in targets if not target.startswith("https://")]
        assert [target for target in inside if not (ROOT / target).exists()] == []

    def test_how_to_guides_are_short(self):
        words = {page.name: len(page.read_text().split()) for page in (DOCS / "how-to").glob("*.md")}
        assert {name: number for name, number in words.items() if number > 800} == {}

    def test_links_have_a_text(self):
        # Sphinx would put a title in; where the file itself is read, there would be nothing.
        pages = [*PAGES, README, CHANGELOG, CONTRIBUTING]
        assert [page.name for page in pages if "[](" in page.read_text()] == []

    def test_make_targets_are_all_named(self):
        targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
        named = re.findall(r"^\| `make ([a-z]+)` \|", CONTRIBUTING.read_text(), re.MULTILINE)
        assert set(named) == {*targets} - {"help", "clean"}
