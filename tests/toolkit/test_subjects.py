"""Who a token is about: ``sub`` by each rule, in access tokens, ID tokens and userinfo (RFC 9068 §2.2, §5, §6)."""

from __future__ import annotations

import base64

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from oauth2_provider.models import get_access_token_model, get_application_model

from django_at_jwt.authorization_server.subjects import user_for_subject
from tests.conftest import REDIRECT_URI, decoded
from tests.toolkit.test_grants import OIDC_KEY

pytestmark = pytest.mark.django_db

KEY = base64.urlsafe_b64encode(b"k" * 32).decode()
OTHER_KEY = base64.urlsafe_b64encode(b"o" * 32).decode()


def by_callable(user):
    return f"user:{user.pk}"


def back_from_callable(subject):
    prefix, _, pk = subject.partition(":")
    return get_user_model().objects.filter(pk=pk).first() if prefix == "user" and pk.isdigit() else None


@pytest.fixture
def rules(settings):
    def set_rules(**values):
        settings.AT_JWT = {**settings.AT_JWT, **values}

    return set_rules


def subject(answer):
    return decoded(answer.json()["access_token"])[1]["sub"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("pk", lambda user: str(user.pk)),
        ("email", lambda user: "alice@example.com"),
        ("tests.toolkit.test_subjects.by_callable", lambda user: f"user:{user.pk}"),
    ],
    ids=["primary key", "field", "callable"],
)
@pytest.mark.compliance("9068-5")
def test_by_each_rule(rule, expected, signing_keys, web, user, rules):
    rules(SUBJECT=rule, USER_BY_SUBJECT="tests.toolkit.test_subjects.back_from_callable")
    answer = web.code_flow(user)
    assert subject(answer) == expected(user)
    refreshed = web.token("refresh_token", refresh_token=answer.json()["refresh_token"])
    assert subject(refreshed) == expected(user)
    assert user_for_subject(expected(user), token="") == user


def test_user_without_an_identifier(signing_keys, web, user, rules, caplog):
    rules(SUBJECT="email")
    get_user_model().objects.update(email="")
    refused = web.code_flow(user)
    assert (refused.status_code, refused.json()["error"]) == (503, "server_error")
    assert "has no identifier by AT_JWT['SUBJECT']" in caplog.text


@pytest.mark.compliance("9068-31")
def test_subject_is_not_what_the_client_says(signing_keys, service, web, user):
    answer = service.token("client_credentials", sub=str(user.pk), user=str(user.pk), username="alice")
    assert subject(answer) == service.application.client_id
    assert subject(web.code_flow(user, sub="1234", exchange={"sub": "1234", "user": "1234"})) == str(user.pk)


@pytest.mark.compliance("9068-35")
class TestPairwise:
    @pytest.fixture(autouse=True)
    def _pairwise(self, rules):
        rules(PAIRWISE_SUBJECT_KEY=KEY)

    def test_one_for_each_sector_and_the_same_each_time(self, signing_keys, make_client, user):
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

    def test_another_user_or_key_is_another_identifier(self, signing_keys, web, user, rules):
        before = subject(web.code_flow(user))
        other = get_user_model().objects.create_user("bob")
        assert subject(web.code_flow(other)) != before
        rules(PAIRWISE_SUBJECT_KEY=OTHER_KEY)
        assert subject(web.code_flow(user)) != before

    def test_client_without_redirect_uris_is_its_own_sector(self, signing_keys, make_client, user):
        owner = {"username": "alice", "password": "correct horse"}
        first, second = (make_client("password", redirect_uris="") for _ in range(2))
        assert subject(first.token("password", **owner)) == subject(first.token("password", **owner))
        assert subject(first.token("password", **owner)) != subject(second.token("password", **owner))

    def test_several_hosts_need_a_sector_identifier(self, signing_keys, make_client, user, rules, caplog):
        wide = make_client(redirect_uris=f"{REDIRECT_URI} https://elsewhere.example.com/")
        refused = wide.code_flow(user)
        assert (refused.status_code, refused.json()["error"]) == (503, "server_error")
        assert "SECTOR_IDENTIFIERS" in caplog.text
        assert not get_access_token_model().objects.exists()
        rules(SECTOR_IDENTIFIERS={wide.application.client_id: "https://client.example.com/sector.json"})
        assert subject(wide.code_flow(user)) == subject(make_client().code_flow(user))

    def test_user_is_found_by_the_row(self, signing_keys, web, user):
        token = web.code_flow(user).json()["access_token"]
        assert user_for_subject(decoded(token)[1]["sub"], token=token) == user
        get_access_token_model().objects.all().delete()
        assert user_for_subject(decoded(token)[1]["sub"], token=token) is None

    def test_machines_stay_themselves(self, signing_keys, service):
        assert subject(service.token("client_credentials")) == service.application.client_id


@pytest.mark.compliance("9068-31")
class TestClientThatReadsAsAUser:
    @pytest.mark.parametrize(
        ("rule", "client_id"),
        [
            ("pk", lambda user: str(user.pk)),
            ("username", lambda user: "alice"),
            ("tests.toolkit.test_subjects.by_callable", lambda user: f"user:{user.pk}"),
        ],
    )
    def test_gets_no_token_and_no_form_takes_its_id(self, rule, client_id, signing_keys, make_client, user, rules):
        rules(SUBJECT=rule, USER_BY_SUBJECT="tests.toolkit.test_subjects.back_from_callable")
        evil = make_client("client-credentials", client_id=client_id(user))
        refused = evil.token("client_credentials")
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
        assert not get_access_token_model().objects.exists()
        self.assert_no_form_takes_it(client_id(user))

    def assert_no_form_takes_it(self, client_id):
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
        page = admin.post(reverse("admin:oauth2_provider_application_add"), form)
        assert page.status_code == 200
        assert "A user of this site has this identifier" in page.content.decode()
        page = admin.post(reverse("oauth2_provider:register"), form)
        assert "A user of this site has this identifier" in page.content.decode()
        assert not get_application_model().objects.exists()
        page = admin.post(reverse("admin:oauth2_provider_application_add"), {**form, "client_id": "harmless"})
        assert page.status_code == 302, page.context["adminform"].form.errors


class TestOpenId:
    @pytest.fixture(autouse=True)
    def _openid(self, settings):
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "OIDC_ENABLED": True,
            "OIDC_RSA_PRIVATE_KEY": OIDC_KEY,
        }

    @pytest.mark.parametrize(
        "values",
        [{}, {"SUBJECT": "tests.toolkit.test_subjects.by_callable"}, {"PAIRWISE_SUBJECT_KEY": KEY}],
        ids=["primary key", "callable", "pairwise"],
    )
    def test_access_token_id_token_and_userinfo_agree(self, values, signing_keys, make_client, user, rules):
        rules(**values)
        web = make_client(algorithm="RS256")
        answer = web.code_flow(user, scope="openid read").json()
        claims = decoded(answer["access_token"])[1]
        told = Client().get("/o/userinfo/", headers={"authorization": f"Bearer {answer['access_token']}"}).json()
        assert decoded(answer["id_token"])[1]["sub"] == claims["sub"] == told["sub"]
