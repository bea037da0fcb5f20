"""The ``sub`` claim by each rule, in access tokens, ID tokens and userinfo (RFC 9068 sections 2.2, 5 and 6)."""

from __future__ import annotations

import base64

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_grant_model,
    get_id_token_model,
)

from tests.conftest import REDIRECT_URI, decoded
from tests.openid_connect import OPENID_CONNECT

pytestmark = pytest.mark.django_db

KEY = base64.urlsafe_b64encode(b"k" * 32).decode()
OTHER_KEY = base64.urlsafe_b64encode(b"o" * 32).decode()


def by_callable(user):
    return f"user:{user.pk}"


def back_from_callable(subject):
    # The subject may be any text.
    return next((user for user in get_user_model().objects.all() if by_callable(user) == subject), None)


def invalid_subject(user):
    return INVALID_SUBJECTS[user.last_name]


INVALID_SUBJECTS = {
    "dict": {"a": 1},
    "float": 1.5,
    "bool": True,
    "empty": "",
    "too long": "x" * 256,
    "NUL": "a\x00b",
    "right to left": "a\u202eb",
    # No key: invalid_subject raises.
}


def failing_lookup(subject):
    raise RuntimeError(f"what is said of {subject}")


def subject(answer):
    return decoded(answer.json()["access_token"])[1]["sub"]


def whoami(answer):
    """Return the user name at an API of this project, or ``None`` if it refuses the token."""
    token = answer.json()["access_token"]
    response = Client().get("/whoami/", headers={"authorization": f"Bearer {token}"})
    return response.json()["user"] if response.status_code == 200 else None


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("pk", lambda user: str(user.pk)),
        ("email", lambda user: "alice@example.com"),
        ("tests.authorization_server.test_subject.by_callable", lambda user: f"user:{user.pk}"),
    ],
    ids=["primary key", "field", "callable"],
)
@pytest.mark.compliance("9068-5")
def test_by_each_rule(rule, expected, signing_keys, web, user, at_jwt):
    at_jwt(SUBJECT=rule, USER_BY_SUBJECT="tests.authorization_server.test_subject.back_from_callable")
    answer = web.code_flow(user)
    assert subject(answer) == expected(user)
    refreshed = web.token("refresh_token", refresh_token=answer.json()["refresh_token"])
    assert subject(refreshed) == expected(user)
    assert whoami(refreshed) == user.username


def test_user_without_an_identifier(signing_keys, web, user, at_jwt, caplog):
    at_jwt(SUBJECT="email")
    get_user_model().objects.update(email="")
    refused = web.code_flow(user)
    assert (refused.status_code, refused.json()["error"]) == (503, "server_error")
    assert """has no identifier: AT_JWT["SUBJECT"] ('email') is empty""" in caplog.text


@pytest.mark.parametrize("given", [*INVALID_SUBJECTS, "raises alice@example.com"])
def test_callable_that_returns_an_invalid_subject(given, signing_keys, make_client, user, at_jwt, caplog):
    at_jwt(SUBJECT="tests.authorization_server.test_subject.invalid_subject")
    get_user_model().objects.update(last_name=given)
    refused = make_client("password").token("password", username="alice", password="correct horse")
    assert (refused.status_code, refused.json()["error"]) == (503, "server_error")
    assert """AT_JWT["SUBJECT"] ('tests.authorization_server.test_subject.invalid_subject')""" in caplog.text
    # An exception's text may hold anything.
    assert "alice@example.com" not in caplog.text
    assert not get_access_token_model().objects.exists()


def test_longest_subject(signing_keys, web, user, at_jwt, monkeypatch):
    at_jwt(SUBJECT="tests.authorization_server.test_subject.invalid_subject")
    monkeypatch.setitem(INVALID_SUBJECTS, "", "x" * 255)
    assert subject(web.code_flow(user)) == "x" * 255


def test_user_by_subject_that_raises(signing_keys, service, at_jwt, caplog):
    at_jwt(
        SUBJECT="tests.authorization_server.test_subject.by_callable",
        USER_BY_SUBJECT="tests.authorization_server.test_subject.failing_lookup",
    )
    refused = service.token("client_credentials")
    assert (refused.status_code, refused.json()["error"]) == (503, "server_error")
    assert "raised RuntimeError in failing_lookup, line" in caplog.text
    assert "what is said of" not in caplog.text


@pytest.mark.compliance("9068-31")
def test_client_cannot_choose_the_subject(signing_keys, service, web, user):
    answer = service.token("client_credentials", sub=str(user.pk), user=str(user.pk), username="alice")
    assert subject(answer) == service.application.client_id
    assert subject(web.code_flow(user, sub="1234", exchange={"sub": "1234", "user": "1234"})) == str(user.pk)


@pytest.mark.compliance("9068-35")
class TestPairwise:
    @pytest.fixture(autouse=True)
    def _pairwise(self, at_jwt):
        at_jwt(PAIRWISE_SUBJECT_KEY=KEY)

    def test_is_stable_within_a_sector_and_differs_across_sectors(self, signing_keys, make_client, user):
        mine = make_client()
        brother = make_client(redirect_uris=f"{REDIRECT_URI} https://client.example.com/other")
        stranger = make_client(redirect_uris="https://stranger.example.com/callback")
        first, second, sibling = (subject(client.code_flow(user)) for client in (mine, mine, brother))
        answer = stranger.authorize(user, redirect_uri="https://stranger.example.com/callback")
        exchanged = stranger.token(
            "authorization_code",
            code=answer["code"],
            redirect_uri="https://stranger.example.com/callback",
            code_verifier=stranger.verifier,
        )
        assert first == second == sibling
        assert subject(exchanged) != first
        assert len(first) == 43
        assert first != str(user.pk)

    def test_another_user_or_key_is_another_identifier(self, signing_keys, web, user, at_jwt):
        before = subject(web.code_flow(user))
        other = get_user_model().objects.create_user("bob")
        assert subject(web.code_flow(other)) != before
        at_jwt(PAIRWISE_SUBJECT_KEY=OTHER_KEY)
        assert subject(web.code_flow(user)) != before

    def test_client_without_redirect_uris_is_its_own_sector(self, signing_keys, make_client, user):
        owner = {"username": "alice", "password": "correct horse"}
        first, second = (make_client("password", redirect_uris="") for _ in range(2))
        assert subject(first.token("password", **owner)) == subject(first.token("password", **owner))
        assert subject(first.token("password", **owner)) != subject(second.token("password", **owner))

    def test_several_hosts_need_a_sector_identifier(self, signing_keys, make_client, user, at_jwt, caplog):
        wide = make_client(redirect_uris=f"{REDIRECT_URI} https://elsewhere.example.com/")
        refused = wide.code_flow(user)
        assert (refused.status_code, refused.json()["error"]) == (503, "server_error")
        assert "SECTOR_IDENTIFIERS" in caplog.text
        assert not get_access_token_model().objects.exists()
        at_jwt(SECTOR_IDENTIFIERS={wide.application.client_id: "https://client.example.com/sector.json"})
        assert subject(wide.code_flow(user)) == subject(make_client().code_flow(user))

    def test_user_is_found_by_the_row(self, signing_keys, web, user):
        answer = web.code_flow(user)
        assert whoami(answer) == "alice"
        get_access_token_model().objects.all().delete()
        assert whoami(answer) is None

    def test_client_credentials_keep_the_client_id(self, signing_keys, service):
        assert subject(service.token("client_credentials")) == service.application.client_id


@pytest.mark.compliance("9068-31")
class TestClientIdOfAUser:
    @pytest.mark.parametrize(
        ("rule", "client_id"),
        [
            ("pk", lambda user: str(user.pk)),
            ("username", lambda user: "alice"),
            ("tests.authorization_server.test_subject.by_callable", lambda user: f"user:{user.pk}"),
        ],
    )
    def test_gets_no_token_and_is_refused_by_forms(self, rule, client_id, signing_keys, make_client, user, at_jwt):
        at_jwt(SUBJECT=rule, USER_BY_SUBJECT="tests.authorization_server.test_subject.back_from_callable")
        evil = make_client("client-credentials", client_id=client_id(user))
        refused = evil.token("client_credentials")
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
        assert not get_access_token_model().objects.exists()
        self.assert_refused_by_forms(client_id(user))

    @pytest.mark.parametrize(
        ("values", "client_id"),
        [
            ({}, lambda user: str(user.pk)),
            ({"SUBJECT": "tests.authorization_server.test_subject.by_callable"}, by_callable),
        ],
        ids=["primary key", "callable without USER_BY_SUBJECT"],
    )
    def test_gets_no_token_for_that_user_in_any_format(
        self, values, client_id, signing_keys, make_client, user, at_jwt
    ):
        at_jwt(RESOURCE_SERVERS={settings.REPORTS: {"format": "opaque"}}, **values)
        evil = make_client(client_id=client_id(user))
        for resource in (settings.API, settings.REPORTS):
            refused = evil.code_flow(user, resource=resource)
            assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
        assert not get_access_token_model().objects.exists()
        other = evil.code_flow(get_user_model().objects.create_user("bob"), resource=settings.REPORTS)
        assert other.status_code == 200

    def assert_refused_by_forms(self, client_id):
        admin = Client()
        admin.force_login(get_user_model().objects.create_superuser("admin"))
        get_application_model().objects.all().delete()
        form = {
            "client_id": client_id,
            "client_type": "confidential",
            "authorization_grant_type": "client-credentials",
            "client_secret": "a secret",
            "hash_client_secret": "on",
            "redirect_uris": "",
            "post_logout_redirect_uris": "",
            "allowed_origins": "",
            "algorithm": "",
            "name": "evil",
            "registration_source": "manual",
        }
        add = reverse(f"admin:{get_application_model()._meta.app_label}_application_add")
        page = admin.post(add, form)
        assert page.status_code == 200
        assert "A user of this site has this identifier" in page.content.decode()
        page = admin.post(reverse("oauth2_provider:register"), form)
        assert "A user of this site has this identifier" in page.content.decode()
        assert not get_application_model().objects.exists()
        page = admin.post(add, {**form, "client_id": "harmless"})
        assert page.status_code == 302, page.context["adminform"].form.errors


class TestOpenId:
    @pytest.fixture(autouse=True)
    def _openid(self, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPENID_CONNECT}

    @pytest.mark.compliance("9068-31")
    def test_client_id_of_a_user_gets_no_id_token(self, signing_keys, make_client, user):
        evil = make_client("openid-hybrid", client_id=str(user.pk), algorithm="RS256")
        answer = evil.authorize(user, response_type="code id_token", scope="openid read")
        assert answer["error"] == "invalid_grant"
        assert not answer.keys() & {"code", "id_token"}
        assert not get_grant_model().objects.exists()
        assert not get_id_token_model().objects.exists()

    @pytest.mark.parametrize(
        "values",
        [{}, {"SUBJECT": "tests.authorization_server.test_subject.by_callable"}, {"PAIRWISE_SUBJECT_KEY": KEY}],
        ids=["primary key", "callable", "pairwise"],
    )
    def test_access_token_id_token_and_userinfo_agree(self, values, signing_keys, make_client, user, at_jwt):
        at_jwt(**values)
        web = make_client(algorithm="RS256")
        answer = web.code_flow(user, scope="openid read").json()
        claims = decoded(answer["access_token"])[1]
        told = Client().get("/o/userinfo/", headers={"authorization": f"Bearer {answer['access_token']}"}).json()
        assert decoded(answer["id_token"])[1]["sub"] == claims["sub"] == told["sub"]
