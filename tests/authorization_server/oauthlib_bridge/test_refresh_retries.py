"""Retries of a refresh whose response the client did not receive."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from tests.conftest import decoded

pytestmark = pytest.mark.django_db
GRACE_PERIOD = 120


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        ahead = timedelta(0)

        def now(self):
            return real_now() + self.ahead

        def time(self):
            return real_time() + self.ahead.total_seconds()

        def goes_on(self, **duration):
            self.ahead += timedelta(**duration)

    real_now, real_time = timezone.now, time.time
    clock = Clock()
    monkeypatch.setattr(timezone, "now", clock.now)
    monkeypatch.setattr(time, "time", clock.time)
    return clock


@pytest.fixture
def configure(settings, signing_keys):
    def change(**toolkit):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **toolkit}

    change(REFRESH_TOKEN_GRACE_PERIOD_SECONDS=GRACE_PERIOD)
    return change


@pytest.fixture(params=[True, False], ids=["hashed", "clear"])
def hashed(request, configure):
    configure(COMPLIANT_BCP_RFC9700_TOKEN_STORAGE=request.param)
    return request.param


@pytest.fixture(params=[True, False], ids=["reuse-protection", "no-reuse-protection"])
def protected(request, configure):
    configure(REFRESH_TOKEN_REUSE_PROTECTION=request.param)
    return request.param


def refreshed(client, refresh_token, **asked):
    answer = client.token("refresh_token", refresh_token=refresh_token, **asked)
    assert answer.status_code == 200, answer.content
    return answer.json()


def refused(client, refresh_token, error="invalid_grant", **asked):
    answer = client.token("refresh_token", refresh_token=refresh_token, **asked)
    assert (answer.status_code, answer.json()["error"]) == (400, error), answer.content


def live():
    return get_refresh_token_model().objects.filter(revoked=None)


def accepted(client, access_token):
    # A view that DOT protects, which looks up the token's row.
    answer = client.get("/toolkit-drf/", headers={"Authorization": f"Bearer {access_token}"})
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


@pytest.fixture
def user_address(settings):
    """Registers the address of DOT's views as an API, so that they accept its tokens."""
    settings.AT_JWT = {**settings.AT_JWT, "DEFAULT_RESOURCE": "http://testserver/"}


def test_retry_gets_a_working_pair_and_revokes_nothing(hashed, protected, user_address, web, user, client):
    first = web.code_flow(user).json()
    lost = refreshed(web, first["refresh_token"])
    again = refreshed(web, first["refresh_token"])
    assert again["refresh_token"]
    assert accepted(client, again["access_token"])
    assert accepted(client, lost["access_token"])
    assert not accepted(client, first["access_token"])
    _, claims = decoded(again["access_token"])
    assert claims["sub"] == str(user.pk)
    assert (claims["scope"], claims["aud"]) == (again["scope"], "http://testserver/")
    families = get_refresh_token_model().objects.values_list("token_family", flat=True)
    assert len(set(families)) == 1
    refreshed(web, again["refresh_token"])


def test_retry_where_the_tokens_are_stored_hands_out_the_same_pair(configure, clock, web, user):
    configure(COMPLIANT_BCP_RFC9700_TOKEN_STORAGE=False)
    first = web.code_flow(user).json()
    lost = refreshed(web, first["refresh_token"])
    clock.goes_on(seconds=60)
    again = refreshed(web, first["refresh_token"])
    assert again["access_token"] == lost["access_token"]
    assert again["refresh_token"] == lost["refresh_token"]
    assert lost["expires_in"] - 62 <= again["expires_in"] <= lost["expires_in"] - 60


def test_expired_token_is_not_reissued(configure, clock, web, user, client, user_address):
    configure(COMPLIANT_BCP_RFC9700_TOKEN_STORAGE=False, REFRESH_TOKEN_GRACE_PERIOD_SECONDS=7200)
    first = web.code_flow(user).json()
    lost = refreshed(web, first["refresh_token"])
    clock.goes_on(seconds=lost["expires_in"] + 1)
    again = refreshed(web, first["refresh_token"])
    assert not accepted(client, lost["access_token"])
    assert accepted(client, again["access_token"])


@pytest.mark.parametrize("used", [0, 1, 2])
def test_first_sibling_that_is_used_ends_the_others(used, protected, configure, user_address, web, user, client):
    first = web.code_flow(user).json()
    siblings = [refreshed(web, first["refresh_token"]) for _ in range(3)]
    assert len({each["refresh_token"] for each in siblings}) == live().count() == 3
    after = refreshed(web, siblings[used]["refresh_token"])
    assert live().count() == 1
    assert not any(accepted(client, each["access_token"]) for each in siblings)
    assert accepted(client, after["access_token"])

    refused(web, siblings[used - 1]["refresh_token"])
    if protected:
        assert not live().exists()
        assert not accepted(client, after["access_token"])
        refused(web, after["refresh_token"])
    else:
        refreshed(web, after["refresh_token"])


def test_replaced_token_cannot_be_retried_once_a_sibling_was_used(hashed, protected, web, user):
    first = web.code_flow(user).json()
    refreshed(web, first["refresh_token"])
    again = refreshed(web, first["refresh_token"])
    after = refreshed(web, again["refresh_token"])
    # The client received that response, since it has used its refresh token.
    refused(web, first["refresh_token"])
    if protected:
        refused(web, after["refresh_token"])
    else:
        refreshed(web, after["refresh_token"])


def test_retry_of_a_sibling(configure, protected, web, user):
    first = web.code_flow(user).json()
    refreshed(web, first["refresh_token"])
    sibling = refreshed(web, first["refresh_token"])
    refreshed(web, sibling["refresh_token"])
    again = refreshed(web, sibling["refresh_token"])
    refreshed(web, again["refresh_token"])
    assert live().count() == 1


@pytest.mark.parametrize("period", [0, GRACE_PERIOD])
def test_retry_after_the_period(period, hashed, protected, configure, clock, web, user):
    configure(REFRESH_TOKEN_GRACE_PERIOD_SECONDS=period)
    first = web.code_flow(user).json()
    second = refreshed(web, first["refresh_token"])
    clock.goes_on(seconds=period + 1)
    refused(web, first["refresh_token"])
    assert live().count() == (0 if protected else 1)
    if not protected:
        refreshed(web, second["refresh_token"])


def test_retry_just_before_the_period_ends(hashed, protected, clock, web, user):
    first = web.code_flow(user).json()
    refreshed(web, first["refresh_token"])
    clock.goes_on(seconds=GRACE_PERIOD - 5)
    refreshed(web, refreshed(web, first["refresh_token"])["refresh_token"])


def test_siblings_end_also_where_retries_were_switched_off_meanwhile(configure, web, user):
    first = web.code_flow(user).json()
    siblings = [refreshed(web, first["refresh_token"]) for _ in range(2)]
    configure(REFRESH_TOKEN_GRACE_PERIOD_SECONDS=0)
    refreshed(web, siblings[0]["refresh_token"])
    refused(web, siblings[1]["refresh_token"])
    assert live().count() == 1


def test_without_rotation_there_is_nothing_to_retry(hashed, protected, configure, web, user):
    configure(ROTATE_REFRESH_TOKEN=False)
    first = web.code_flow(user).json()
    for _ in range(3):
        assert refreshed(web, first["refresh_token"])["refresh_token"] == first["refresh_token"]
    assert get_refresh_token_model().objects.count() == 1
    assert get_access_token_model().objects.count() == 1


def test_retry_where_rotation_was_switched_off_meanwhile(hashed, protected, configure, web, user):
    first = web.code_flow(user).json()
    lost = refreshed(web, first["refresh_token"])
    configure(ROTATE_REFRESH_TOKEN=False)
    again = refreshed(web, first["refresh_token"])
    # The replaced token stays invalid.
    assert again["refresh_token"] != first["refresh_token"]
    assert refreshed(web, again["refresh_token"])["refresh_token"] == again["refresh_token"]
    assert live().count() == 1
    if hashed:
        refused(web, lost["refresh_token"])


@pytest.mark.compliance("8707-3")
@pytest.mark.parametrize(
    ("asked", "audience", "scope"),
    [
        ({"resource": settings.API}, settings.API, "read"),
        ({"resource": settings.REPORTS}, settings.REPORTS, "reports:read"),
        ({"scope": "reports:read"}, [settings.API, settings.REPORTS], "reports:read"),
        ({}, [settings.API, settings.REPORTS], "read reports:read"),
    ],
    ids=str,
)
def test_retry_gets_what_it_asks_for(asked, audience, scope, hashed, web, user):
    first = web.code_flow(user, scope="read reports:read", resource=[settings.API, settings.REPORTS]).json()
    lost = refreshed(web, first["refresh_token"], resource=settings.API)
    again = refreshed(web, first["refresh_token"], **asked)
    _, claims = decoded(again["access_token"])
    assert (claims["aud"], claims["scope"]) == (audience, scope)
    assert again["scope"] == scope
    row = get_access_token_model().objects.order_by("pk").last()
    assert row.scope == scope
    # The retry does not narrow the grant.
    whole = refreshed(web, again["refresh_token"])
    assert whole["scope"] == "read reports:read"
    if again["refresh_token"] != lost["refresh_token"]:
        refused(web, lost["refresh_token"])


@pytest.mark.compliance("8707-3")
def test_retry_is_for_at_most_what_was_granted(hashed, protected, web, user):
    first = web.code_flow(user, scope="read", resource=settings.API).json()
    lost = refreshed(web, first["refresh_token"])
    refused(web, first["refresh_token"], "invalid_target", resource=settings.REPORTS)
    refused(web, first["refresh_token"], "invalid_scope", scope="write")
    assert live().count() == 1
    refreshed(web, lost["refresh_token"])


def test_retry_by_another_client(hashed, protected, make_client, web, user):
    first = web.code_flow(user).json()
    lost = refreshed(web, first["refresh_token"])
    refused(make_client(), first["refresh_token"])
    assert live().count() == 1
    refreshed(web, first["refresh_token"])
    refreshed(web, lost["refresh_token"])


def test_retry_by_a_user_who_was_deactivated(hashed, protected, web, user):
    first = web.code_flow(user).json()
    refreshed(web, first["refresh_token"])
    user.is_active = False
    user.save()
    refused(web, first["refresh_token"])


@pytest.mark.compliance("7009-1")
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_revoking_a_sibling_revokes_the_others(kind, configure, protected, user_address, web, user, client):
    first = web.code_flow(user).json()
    siblings = [refreshed(web, first["refresh_token"]) for _ in range(3)]
    assert web.post("/o/revoke_token/", {"token": siblings[2][kind]}).status_code == 200
    assert not live().exists()
    assert not any(accepted(client, each["access_token"]) for each in siblings)
    refused(web, first["refresh_token"])
    refused(web, siblings[0]["refresh_token"])


@pytest.mark.compliance("7009-1")
def test_revoking_a_token_that_was_replaced_or_is_another_clients_revokes_nothing(configure, make_client, web, user):
    first = web.code_flow(user).json()
    siblings = [refreshed(web, first["refresh_token"]) for _ in range(2)]
    assert web.post("/o/revoke_token/", {"token": first["refresh_token"]}).status_code == 200
    assert make_client().post("/o/revoke_token/", {"token": siblings[0]["refresh_token"]}).status_code == 200
    assert live().count() == 2


def test_other_authorizations_of_the_same_client_and_user_are_left_alone(configure, web, user):
    other = web.code_flow(user).json()
    first = web.code_flow(user).json()
    siblings = [refreshed(web, first["refresh_token"]) for _ in range(2)]
    refreshed(web, siblings[0]["refresh_token"])
    refused(web, siblings[1]["refresh_token"])
    refreshed(web, other["refresh_token"])


def test_retry_after_the_replacement_was_deleted(hashed, configure, web, user):
    first = web.code_flow(user).json()
    lost = refreshed(web, first["refresh_token"])
    # cleartokens deletes an expired refresh token and keeps its access token.
    live().delete()
    if hashed:
        refused(web, first["refresh_token"])
    else:
        again = refreshed(web, first["refresh_token"])
        assert again["access_token"] == lost["access_token"]
        refreshed(web, again["refresh_token"])
        refused(web, first["refresh_token"])


def test_dot_still_reports_a_grace_period_with_hashes(configure):
    # As docs/how-to/rfc9700.md says of SILENCED_SYSTEM_CHECKS.
    found = {problem.id for problem in run_checks(tags=["security"], include_deployment_checks=True)}
    assert "oauth2_provider.E001" in found


def test_refresh_token_without_a_family_is_not_retried_where_only_hashes_are_stored(configure, web, user):
    # Old versions of DOT have stored such rows.
    first = web.code_flow(user).json()
    live().update(token_family=None)
    second = refreshed(web, first["refresh_token"])
    refused(web, first["refresh_token"])
    refreshed(web, second["refresh_token"])
