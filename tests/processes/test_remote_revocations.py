"""Four workers of an API obey the revocations of an issuer in another project, through both kinds of outages."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.patience import PATIENCE_SECONDS

from .remote_revocations import AFTER_THE_LOSS_OF_REDIS, AFTER_THE_OUTAGE, KINDS, running
from .revocation_events import EVENTS, disable_api

BOUND, STALE = 1, 8
# The issuer reads its deny list, then the API reads the document.
WORST_CASE = 2 * BOUND


@pytest.mark.ci
@pytest.mark.compliance("7009-2")
def test_every_worker_refuses_within_the_bound_through_outages(prepared_databases, tmp_path):
    times = {"bound": BOUND, "stale": STALE, "timeout": PATIENCE_SECONDS}
    with running(prepared_databases, "postgresql", tmp_path, **times) as setting:
        grants = {
            event: setting.granted(event) for event in (*KINDS.values(), AFTER_THE_LOSS_OF_REDIS, AFTER_THE_OUTAGE)
        }
        tokens = {event: grant.tokens["access_token"] for event, grant in grants.items()}

        def refused(*events):
            for event in events:
                EVENTS[event](grants[event])
            time.sleep(WORST_CASE)
            return all(setting.settled_statuses(tokens[event]) == {401} for event in events)

        assert all(setting.settled_statuses(token) == {200} for token in tokens.values())
        assert refused(*KINDS.values())
        setting.stop_redis()
        assert refused(AFTER_THE_LOSS_OF_REDIS)

        left, revoked = tokens[AFTER_THE_OUTAGE], tokens[KINDS["a client"]]
        assert setting.statuses(left) == {200}
        setting.stop_issuer()
        time.sleep(STALE + BOUND)
        # Whether it was revoked is unknown; what was revoked stays so.
        assert setting.statuses(left) == {503}
        assert setting.statuses(revoked) == {401}
        setting.start_issuer()
        assert setting.seconds_until(200, left, lambda: None)
        disable_api(setting.site)
        time.sleep(WORST_CASE)
        assert setting.settled_statuses(left) == {401}


def test_documented_table_has_each_situation():
    page = Path("docs/reference/revocation-times.md").read_text()
    for kind in KINDS:
        assert f"| {kind} is revoked | " in page
