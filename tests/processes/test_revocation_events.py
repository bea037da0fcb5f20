"""Each event that revokes a token, at each kind of API, in several workers, with Redis gone in between."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from .remote_revocations import redis_server
from .revocation_events import ALL_EVENTS, APIS, BOUND, DISABLED, EVENTS, accepting, disable_api, granted, running_site

pytestmark = pytest.mark.compliance("7009-1", "7009-2", "7662-3", "6749-1")


@pytest.mark.ci
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_api_refuses_the_token_of_each_event_within_the_bound(kind, prepared_databases, tmp_path):
    with (
        redis_server(tmp_path) as (redis, stop_redis),
        running_site(prepared_databases, kind, tmp_path, **({"TEST_REDIS": redis} if redis else {})) as site,
    ):
        grants = {event: granted(site, event) for event in ALL_EVENTS}
        tokens = {event: grant.tokens["access_token"] for event, grant in grants.items()}
        before = {event: accepting(site, token) for event, token in tokens.items()}
        for event, happen in EVENTS.items():
            happen(grants[event])
        stop_redis()
        time.sleep(BOUND)
        after = {event: accepting(site, tokens[event]) for event in EVENTS}
        untouched = accepting(site, tokens[DISABLED])
        disable_api(site)
        time.sleep(BOUND)
        after[DISABLED] = accepting(site, tokens[DISABLED])
    # The kinds of APIs that accept the token of each event, in at least one worker.
    assert before == {event: set(APIS) for event in ALL_EVENTS}
    assert after == {event: set() for event in ALL_EVENTS}
    # Tokens of others go on.
    assert untouched == set(APIS)


def test_documented_table_has_each_event_and_api():
    page, _, _ = Path("docs/reference/revocation-times.md").read_text().partition("(another-projects-deny-list)=")
    rows = [line for line in page.splitlines() if line.startswith("| ") and line.endswith(" s |")]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == list(ALL_EVENTS)
    assert f"| Event | {' | '.join(APIS)} |" in page
