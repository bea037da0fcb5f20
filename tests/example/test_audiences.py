"""The audience and scopes of tokens: each grant, over HTTP, with each combination that a client may request.

The cells of the tables say who the token is for and, after a colon, which scopes it has; or the error.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from example_project.http_client import Browser

from .cross_audience_requests import WAYS_TO_THE_NEIGHBOUR
from .one_time_password import ONE_TIME_PASSWORD
from .wider_site import WiderSite

# The grants of the example are in test_tokens.py, and the same rules in one process in tests/core and oauthlib_bridge.
pytestmark = pytest.mark.ci

# Down: the "resource" parameters. Across: the "scope" parameter. A hyphen is no parameter: DEFAULT_SCOPES is api:read.
FIRST_REQUESTS = """
                | -                       | api:read                | reports:read                | api:read reports:read                | neighbour:read
-               | notes: api:read         | notes: api:read         | reports: reports:read       | invalid_scope                        | invalid_target
notes           | notes: api:read         | notes: api:read         | notes:                      | notes: api:read                      | notes:
reports         | reports:                | reports:                | reports: reports:read       | reports: reports:read                | reports:
notes reports   | notes reports: api:read | notes reports: api:read | notes reports: reports:read | notes reports: api:read reports:read | notes reports:
vault           | vault:                  | vault:                  | vault:                      | vault:                               | vault:
notes vault     | invalid_target          | invalid_target          | invalid_target              | invalid_target                       | invalid_target
unknown         | invalid_target          | invalid_target          | invalid_target              | invalid_target                       | invalid_target
notes unknown   | invalid_target          | invalid_target          | invalid_target              | invalid_target                       | invalid_target
neighbour       | invalid_target          | invalid_target          | invalid_target              | invalid_target                       | invalid_target
notes neighbour | invalid_target          | invalid_target          | invalid_target              | invalid_target                       | invalid_target
malformed       | invalid_target          | invalid_target          | invalid_target              | invalid_target                       | invalid_target
fragment        | invalid_target          | invalid_target          | invalid_target              | invalid_target                       | invalid_target
retired         | invalid_target          | invalid_target          | invalid_target              | invalid_target                       | invalid_target
"""  # noqa: E501 - one line is one row

# What only some APIs have: isolation, another format, another lifetime, a scope that two of them know.
SPECIAL_REQUESTS = """
               | vault:open        | retired:read    | legacy:read         | archive:read                | archive:read api:read
-              | notes:            | invalid_target  | legacy: legacy:read | invalid_scope               | invalid_scope
vault          | vault: vault:open | vault:          | vault:              | vault:                      | vault:
legacy         | legacy:           | legacy:         | legacy: legacy:read | legacy:                     | legacy:
archive        | archive:          | archive:        | archive:            | archive: archive:read       | archive: archive:read
notes archive  | notes archive:    | notes archive:  | notes archive:      | notes archive: archive:read | notes archive: archive:read api:read
archive mirror | archive mirror:   | archive mirror: | archive mirror:     | invalid_target              | invalid_target
notes legacy   | invalid_target    | invalid_target  | invalid_target      | invalid_target              | invalid_target
"""  # noqa: E501 - one line is one row

# What a refresh may ask for where notes, reports and archive were granted, and the scopes api:read, reports:read and
# archive:read.
REFRESHES = """
                | -                                                         | api:read                        | archive:read reports:read                        | api:write      | neighbour:read
-               | notes reports archive: api:read reports:read archive:read | notes reports archive: api:read | notes reports archive: archive:read reports:read | invalid_scope  | invalid_scope
notes           | notes: api:read                                           | notes: api:read                 | notes:                                           | invalid_scope  | invalid_scope
reports         | reports: reports:read                                     | reports:                        | reports: reports:read                            | invalid_scope  | invalid_scope
archive notes   | archive notes: api:read archive:read                      | archive notes: api:read         | archive notes: archive:read                      | invalid_scope  | invalid_scope
mirror          | invalid_target                                            | invalid_target                  | invalid_target                                   | invalid_target | invalid_target
notes mirror    | invalid_target                                            | invalid_target                  | invalid_target                                   | invalid_target | invalid_target
vault           | invalid_target                                            | invalid_target                  | invalid_target                                   | invalid_target | invalid_target
neighbour       | invalid_target                                            | invalid_target                  | invalid_target                                   | invalid_target | invalid_target
notes neighbour | invalid_target                                            | invalid_target                  | invalid_target                                   | invalid_target | invalid_target
retired         | invalid_target                                            | invalid_target                  | invalid_target                                   | invalid_target | invalid_target
unknown         | invalid_target                                            | invalid_target                  | invalid_target                                   | invalid_target | invalid_target
malformed       | invalid_target                                            | invalid_target                  | invalid_target                                   | invalid_target | invalid_target
fragment        | invalid_target                                            | invalid_target                  | invalid_target                                   | invalid_target | invalid_target
"""  # noqa: E501 - one line is one row

# The same for the exchange of an authorization code and of a device code, which have no scope parameter.
EXCHANGES = """
              | -
-             | notes reports archive: api:read reports:read archive:read
notes         | notes: api:read
reports notes | reports notes: api:read reports:read
mirror        | invalid_target
notes mirror  | invalid_target
vault         | invalid_target
neighbour     | invalid_target
retired       | invalid_target
unknown       | invalid_target
malformed     | invalid_target
fragment      | invalid_target
"""
GRANTED, GRANTED_SCOPE = "notes reports archive", "api:read reports:read archive:read"

# Each grant, and where its errors are. The toolkit writes every redirect's errors into the query, also where RFC 6749
# section 4.2.2.1 asks for the fragment.
GRANTS = {
    "authorization_code": "query",
    "without_consent": "query",
    "implicit": "query",
    "hybrid": "query",
    "client_credentials": "body",
    "password": "body",
    "device": "body",
}

LIFETIMES = {"archive": 600, "mirror": 300, "legacy": 120}
SITE_LIFETIME = 3600


def table_of(text):
    """Return the rows of a table, each with a case for each of its cells."""
    (_, *scopes), *lines = ([cell.strip() for cell in line.split("|")] for line in text.strip("\n").splitlines())
    return [
        [
            pytest.param(resource, scope, cell, id=f"{resource}, {scope} -> {cell}")
            for scope, cell in zip(scopes, cells, strict=True)
        ]
        for resource, *cells in lines
    ]


def is_refused(row):
    """Return whether a row's resources are refused with the same error, whatever the scope is."""
    return len({case.values[-1] for case in row}) == 1 and ":" not in row[0].values[-1]


def rows_of(text):
    """Each cell; of a row that is refused, one cell, in turns."""
    return [
        case
        for number, row in enumerate(table_of(text))
        for case in ([row[number % len(row)]] if is_refused(row) else row)
    ]


def pairs_of(text):
    """Each row with each grant; the scopes take turns, so that each cell and each scope with each grant is there.

    A row that is refused is there with one grant of each endpoint, in turns.
    """
    return [
        pytest.param(grant, *case.values, id=f"{grant}, {case.id}")
        for number, row in enumerate(table_of(text))
        for turn, grant in enumerate(GRANTS)
        if not is_refused(row) or grant in grants_in_turn(number)
        for case in [row[(number + turn) % len(row)]]
    ]


def grants_in_turn(number):
    """Return a grant that is refused at the authorization endpoint, and one that is refused at the token endpoint."""
    by_place = [[grant for grant in GRANTS if GRANTS[grant] == place] for place in ("query", "body")]
    return [grants[number % len(grants)] for grants in by_place]


@pytest.fixture(scope="module")
def site(running_example, tmp_path_factory):
    directory = tmp_path_factory.mktemp("wider")
    with running_example(directory, DJANGO_SETTINGS_MODULE="tests.example.wider_settings") as server:
        yield WiderSite(server)


def assert_issued(site, answer, expected):
    """The answer, the row and the token say the same."""
    audience, _, scope = (part.strip() for part in expected.partition(":"))
    token, row = answer["access_token"], site.rows.access_token(answer["access_token"])
    lifetime = min(LIFETIMES.get(name, SITE_LIFETIME) for name in audience.split())
    assert site.audience_of(row) == audience
    assert row["scope"] == answer["scope"] == scope
    assert int(answer["expires_in"]) == lifetime
    expires_at = datetime.fromisoformat(row["expires"]).replace(tzinfo=UTC)
    if audience == "legacy":
        assert "." not in token
        created_at = datetime.fromisoformat(row["created"]).replace(tzinfo=UTC)
        assert abs((expires_at - created_at).total_seconds() - lifetime) < 2
        known = site.introspected(token)
        assert (known["active"], known["scope"], known["exp"]) == (True, scope, int(expires_at.timestamp()))
        return
    claims = site.claims_of(token)
    assert claims["aud"] == (row["resource"] if len(row["resource"]) > 1 else row["resource"][0])
    assert claims.get("scope", "") == scope
    assert claims["exp"] - claims["iat"] == lifetime
    assert claims["exp"] == expires_at.timestamp()


def assert_answered(site, grant, resource, scope, expected):
    """A first request gets what its cell says: a token for an audience with scopes, or an error and no row."""
    before = site.rows.snapshot()
    answer = getattr(site, grant)(resource, scope)
    if ":" in expected:
        assert_issued(site, answer.values, expected)
    else:
        assert (answer.error, answer.where) == (expected, GRANTS[grant])
        assert site.rows.snapshot() == before


@pytest.mark.compliance("9068-12", "9068-14", "9068-15", "9068-16", "9068-17", "9068-18", "8707-1", "8707-2")
@pytest.mark.parametrize(
    ("grant", "resource", "scope", "expected"), [*pairs_of(FIRST_REQUESTS), *pairs_of(SPECIAL_REQUESTS)]
)
def test_first_request(site, grant, resource, scope, expected):
    assert_answered(site, grant, resource, scope, expected)


@pytest.mark.compliance("8707-3")
@pytest.mark.parametrize(("resource", "scope", "expected"), rows_of(REFRESHES))
def test_refresh(site, resource, scope, expected):
    tokens = site.authorization_code(GRANTED, GRANTED_SCOPE).values
    before = site.rows.snapshot()
    answer = site.refresh(tokens, resource, scope)
    if ":" in expected:
        assert_issued(site, answer.values, expected)
        tokens = answer.values
    else:
        assert answer.error == expected
        assert site.rows.snapshot() == before
    # The next refresh has all that was granted, even if this one was narrowed or refused.
    assert_issued(site, site.refresh(tokens, "-", "-").values, f"{GRANTED}: {GRANTED_SCOPE}")


@pytest.mark.compliance("8707-3")
def test_refreshes_move_within_what_was_granted(site):
    tokens = site.authorization_code(GRANTED, GRANTED_SCOPE).values
    moves = ("notes: api:read", "archive: archive:read", "reports notes: api:read reports:read", "notes: api:read")
    for expected in moves:
        tokens = site.refresh(tokens, expected.partition(":")[0], "-").values
        assert_issued(site, tokens, expected)
        assert site.audience_of(site.rows.refresh_token(tokens["refresh_token"])) == GRANTED


@pytest.mark.compliance("8707-3")
@pytest.mark.parametrize(("resource", "scope", "expected"), rows_of(EXCHANGES))
@pytest.mark.parametrize("flow", ["code", "device_code"])
def test_exchange(site, flow, resource, scope, expected):
    exchange = getattr(site, f"begin_{flow}")(GRANTED, GRANTED_SCOPE)
    before = site.rows.snapshot()
    answer = exchange(resource)
    if ":" in expected:
        assert_issued(site, answer.values, expected)
    else:
        assert answer.error == expected
        assert site.rows.snapshot() == before
        # The code is not used up, and good for what was granted.
        answer = exchange("-")
    tokens = answer.values
    assert site.audience_of(site.rows.refresh_token(tokens["refresh_token"])) == GRANTED


class TestNeighbour:
    """An API that is open to one client: no other one gets a token for it by any way, and nothing is stored."""

    def test_its_own_client_gets_a_token_by_name_and_by_scope(self, site):
        for resource, scope in (("neighbour", "neighbour:read"), ("-", "neighbour:read")):
            answer = site.client_credentials(resource, scope, client="neighbour")
            assert_issued(site, answer.values, "neighbour: neighbour:read")

    @pytest.mark.compliance("8707-2", "8707-3")
    @pytest.mark.parametrize("way", WAYS_TO_THE_NEIGHBOUR, ids=lambda way: way.__name__)
    def test_no_other_client_does(self, site, way):
        steps = way(site)
        next(steps)
        before = site.rows.snapshot()
        assert next(steps).error == WAYS_TO_THE_NEIGHBOUR[way]
        assert site.rows.snapshot() == before

    def test_a_scope_in_the_consent_page_implies_nothing(self, site):
        authorization = site.begin("web", "-", "api:read")
        answer = site.answer_to(authorization, resource="", scope="neighbour:read")
        assert_issued(site, site.exchange(authorization, answer).values, "notes:")


class TestLoginsLater:
    """The login claims describe the login with which the user agreed (RFC 9068 section 2.2.1)."""

    PASSWORD = ("urn:example:password", ["pwd"])
    TWO_FACTORS = ("urn:example:two-factors", ["pwd", "otp", "mfa"])

    def logged_in(self, site, *, one_time_password=False):
        alice = site.users["alice"]
        password = f"{alice['password']} {ONE_TIME_PASSWORD}" if one_time_password else alice["password"]
        browser = Browser(username="alice", password=password)
        browser.open(f"{site.base_url}/login/")
        return browser

    def login_in(self, site, tokens):
        """Return the claims of both tokens, if they are equal."""
        claims = [site.claims_of(tokens[name]) for name in ("access_token", "id_token") if name in tokens]
        said = [(each["auth_time"], each["acr"], each["amr"]) for each in claims]
        assert said[0] == said[-1]
        return said[0]

    def authorized(self, site, browser):
        authorization = site.begin("web", "notes", "openid api:read")
        return site.exchange(authorization, site.answer_to(authorization, browser=browser)).values

    @pytest.mark.compliance("9068-6", "9068-7")
    def test_a_refresh_says_what_the_first_token_said(self, site):
        laptop = self.logged_in(site)
        tokens = self.authorized(site, laptop)
        first = self.login_in(site, tokens)
        assert first[1:] == self.PASSWORD

        # The times are in seconds.
        time.sleep(1.1)
        phone = self.logged_in(site, one_time_password=True)
        second = self.login_in(site, self.authorized(site, phone))
        assert second[1:] == self.TWO_FACTORS
        assert second[0] > first[0]

        tokens = site.refresh(tokens, "-", "-").values
        assert "id_token" in tokens
        assert self.login_in(site, tokens) == first
        # In the first browser, too.
        laptop.cookies.clear()
        time.sleep(1.1)
        laptop.open(f"{site.base_url}/login/")
        third = self.login_in(site, self.authorized(site, laptop))
        assert third[0] > second[0]
        assert third[1:] == self.PASSWORD
        assert self.login_in(site, site.refresh(tokens, "-", "-").values) == first

    @pytest.mark.compliance("9068-7")
    def test_a_device_has_the_login_of_who_approved_it(self, site):
        exchange = site.begin_device_code("notes", "api:read", browser=self.logged_in(site, one_time_password=True))
        self.logged_in(site)
        tokens = exchange("-").values
        first = self.login_in(site, tokens)
        assert first[1:] == self.TWO_FACTORS
        time.sleep(1.1)
        self.logged_in(site)
        assert self.login_in(site, site.refresh(tokens, "-", "-", client="device").values) == first

    @pytest.mark.compliance("9068-6")
    def test_a_machine_has_no_login(self, site):
        claims = site.claims_of(site.client_credentials("-", "-").values["access_token"])
        assert not {"auth_time", "acr", "amr"} & set(claims)
