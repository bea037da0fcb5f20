"""Migration: DOT's opaque tokens are accepted in addition to JWTs if the setting is on."""

from __future__ import annotations

import base64
import logging
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model

from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.core.errors import TokenRejected
from django_at_jwt.resource_server.verification import verify_token
from tests.authorization_server.test_subject import KEY

from . import signed_tokens

pytestmark = pytest.mark.django_db

TOKEN = "an0paqueTokenOf30Characters000"


@pytest.fixture
def moving(settings, signing_keys):
    settings.AT_JWT = {**settings.AT_JWT, "ACCEPT_OPAQUE_TOKENS": True}
    deny_list.renew()
    return settings


@pytest.fixture
def row(web, user, settings):
    return get_access_token_model().objects.create(
        user=user,
        token=TOKEN,
        application=web.application,
        expires=timezone.now() + timedelta(hours=1),
        scope="read",
        resource=[settings.API],
    )


def get(client, token=TOKEN, address="/whoami/"):
    return client.get(address, headers={"Authorization": f"Bearer {token}"})


def refused(client, caplog, reason, **options):
    caplog.set_level(logging.INFO, "django_at_jwt")
    answer = get(client, **options)
    assert answer.status_code == 401
    assert (
        answer["WWW-Authenticate"] == 'Bearer error="invalid_token", error_description="The access token is invalid."'
    )
    assert reason in caplog.text
    assert TOKEN not in caplog.text
    return True


def test_off_by_default(row, client, signing_keys, caplog, django_assert_num_queries):
    verify_known_keys(client)
    with django_assert_num_queries(0):
        assert refused(client, caplog, "malformed")


def test_user_of_the_row_is_the_requests(moving, row, client, user, django_assert_num_queries):
    with django_assert_num_queries(2):
        answer = get(client)
    assert answer.json() == {"user": "alice", "scope": "read", "client_id": row.application.client_id}


def test_user_whose_subject_reads_like_the_key_of_another(moving, row, client, user, django_user_model):
    moving.AT_JWT = {**moving.AT_JWT, "SUBJECT": "username"}
    django_user_model.objects.create_user(str(user.pk))
    assert get(client).json()["user"] == "alice"


def test_user_whose_subject_is_the_clients_id_is_not_taken_for_the_client(moving, row, client, user, caplog):
    get_application_model().objects.update(client_id=str(user.pk))
    assert refused(client, caplog, "unknown_subject")


@pytest.mark.parametrize(
    "rules", [{"SUBJECT": "tests.authorization_server.test_subject.by_callable"}, {"PAIRWISE_SUBJECT_KEY": KEY}]
)
def test_subject_is_that_of_the_other_tokens(rules, moving, row, client, web, user):
    moving.AT_JWT = {**moving.AT_JWT, **rules}
    jwt = web.code_flow(user).json()["access_token"]
    assert verify_token(TOKEN).subject == verify_token(jwt).subject
    assert get(client).json()["user"] == "alice"


def test_user_without_a_subject(moving, row, client, user, caplog):
    moving.AT_JWT = {**moving.AT_JWT, "SUBJECT": "last_name"}
    assert refused(client, caplog, "unknown_subject")


def test_registration_access_token_is_not_an_access_token(moving, row, client, caplog):
    """Dynamically registered clients have one (RFC 7592 section 3). It has no resource and never expires."""
    type(row).objects.update(scope="oauth2_provider:registration", resource=[])
    assert refused(client, caplog, "registration")


def test_row_without_a_user_is_the_clients(moving, row, client):
    type(row).objects.update(user=None)
    assert get(client).json()["user"] == f"client:{row.application.client_id}"


def test_jwts_are_accepted_as_before(moving, client, django_assert_num_queries):
    token = signed_tokens.token()
    with django_assert_num_queries(0):
        assert get(client, token).status_code == 200


def test_what_the_token_offers(moving, row, settings):
    claims = verify_token(TOKEN)
    assert claims.issuer == settings.ISSUER
    assert claims.audience == (settings.API,)
    assert claims.token_id == f"opaque-{row.pk}"
    assert claims.expires_at == int(row.expires.timestamp())
    assert claims.scopes == {"read"}
    assert claims.raw["client_id"] == row.application.client_id


def test_permissions_work(moving, row, client):
    answer = get(client, address="/needs-write/")
    assert answer.status_code == 403
    assert answer["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="write"'
    type(row).objects.update(scope="write")
    assert get(client, address="/needs-write/").status_code == 200


@pytest.mark.compliance("9068-24")
@pytest.mark.parametrize(
    "values",
    [
        {"SUBJECT": "username"},
        {"SUBJECT": "tests.authorization_server.test_subject.by_callable"},
        {"PAIRWISE_SUBJECT_KEY": base64.urlsafe_b64encode(b"k" * 32).decode()},
    ],
    ids=["field", "callable", "pairwise"],
)
def test_user_by_the_rule_of_the_site(values, moving, row, client, user):
    get_user_model().objects.create_user(str(user.pk))  # a name equal to the primary key of the other user
    moving.AT_JWT = {**moving.AT_JWT, **values}
    assert get(client).json()["user"] == "alice"


def test_user_without_an_identifier(moving, row, client, user, caplog):
    moving.AT_JWT = {**moving.AT_JWT, "SUBJECT": "email"}
    get_user_model().objects.update(email="")
    assert refused(client, caplog, "unknown_subject")


class TestAudience:
    def test_of_another_api(self, moving, row, client, caplog, settings):
        type(row).objects.update(resource=[settings.REPORTS])
        assert refused(client, caplog, "wrong_audience")
        assert get(client, address="/reports/").status_code == 200

    def test_without_resource_the_default_applies(self, moving, row, client, caplog):
        type(row).objects.update(resource=[])
        assert get(client).status_code == 200
        assert refused(client, caplog, "wrong_audience", address="/reports/")

    def test_without_resource_and_default_is_rejected(self, moving, row, client, caplog, settings):
        type(row).objects.update(resource=[])
        settings.AT_JWT = {"AUDIENCE": settings.API, "ACCEPT_OPAQUE_TOKENS": True}
        assert refused(client, caplog, "bad_claim: aud")


def test_expired_row_is_refused(moving, row, client, caplog):
    type(row).objects.update(expires=timezone.now() - timedelta(minutes=1))
    assert refused(client, caplog, "expired")


def test_revoked_row_is_refused(moving, row, client, caplog):
    row.revoke()
    assert refused(client, caplog, "revoked")


def test_deleted_client(moving, row, client, caplog):
    type(row).objects.update(application=None)
    assert refused(client, caplog, "revoked")


def test_inactive_user(moving, row, client, user, caplog):
    user.is_active = False
    user.save()
    assert refused(client, caplog, "inactive_subject")


def test_token_stored_in_clear(moving, row, client):
    assert row.token == TOKEN
    assert get(client).status_code == 200


def test_jwts_are_never_looked_up(moving, row, client, django_assert_num_queries):
    part = base64.urlsafe_b64encode(b"{}").decode().rstrip("=")
    # Even a row with such a token is not accepted.
    for token in (f"{part}.{part}.{part}", f"{part}.{part}.", "..", "a.b.c.d.e"):
        get_access_token_model().objects.create(
            token=token, application=row.application, expires=row.expires, scope="read", resource=row.resource
        )
        verify_known_keys(client)
        with django_assert_num_queries(0):
            assert get(client, token).status_code == 401


def verify_known_keys(client):
    """Load the keys, so that their queries are not counted."""
    get(client, "a.b.c")


def test_refresh_token_is_not_an_access_token(moving, web, user, client):
    tokens = web.code_flow(user).json()
    assert get(client, tokens["access_token"]).status_code == 200
    assert get(client, tokens["refresh_token"]).status_code == 401


@pytest.mark.parametrize("token", ["x" * 20_000, "é", "x.y", "x\x00y"])
def test_hostile_text(token, moving, row):
    with pytest.raises(TokenRejected):
        verify_token(token)
