"""The commands ``verify_access_token`` and ``check_issuers``."""

from __future__ import annotations

import io
import json
import time

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.core.management import CommandError, call_command
from django.db import OperationalError

from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.resource_server.verification import verify_token
from tests.commands import run_to_exit
from tests.core.token_factory import API, REPORTS, TokenFactory
from tests.resource_server.remote.issuer_process import KEYS, METADATA, Page, running_issuer

ES256, OTHER = TokenFactory("ES256"), TokenFactory("ES256", "an attacker")


def run(command, *arguments, stdin=None, monkeypatch=None):
    if stdin is not None:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    return run_to_exit(command, *arguments)


def rules_of(*arguments):
    status, text = run("verify_access_token", *arguments, "--json")
    document = json.loads(text)
    assert document["accepted"] is (status == 0)
    return document, {rule["rule"]: rule for rule in document["rules"]}


class TestToken:
    def test_input_that_is_not_text(self, api, issuer, monkeypatch):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\x00"), encoding="utf-8"))
        with pytest.raises(CommandError, match="not text"):
            call_command("verify_access_token")

    def test_good_one(self, api, issuer):
        status, text = run("verify_access_token", issuer.token())
        assert status == 0
        assert text.rstrip().endswith(f"The token is accepted for {API}.")
        assert f"Issuer: {issuer.issuer}" in text
        assert "FAILED" not in text

    def test_shows_the_jti_with_which_a_token_is_revoked(self, api, issuer):
        token = issuer.token(aud=REPORTS, jti="a\x1b[2Jb")
        assert "\njti: 'a\\x1b[2Jb'\n" in run("verify_access_token", token)[1]
        assert rules_of(token)[0]["jti"] == "a\x1b[2Jb"
        assert rules_of("a.b.c")[0]["jti"] is None
        assert "jti:" not in run("verify_access_token", "a.b.c")[1]

    def test_every_rule_that_fails(self, api, issuer):
        token = issuer.token(aud=REPORTS, exp=1)
        status, text = run("verify_access_token", token)
        assert status == 1
        assert text.count("FAILED") == 2
        assert f"expected: {API}; found: '{REPORTS}' (wrong_audience: aud does not contain '{API}')" in text
        assert "found: 1 (1970-01-01 00:00:01 UTC) (expired: " in text
        assert text.rstrip().endswith("The token is rejected.")
        assert not any(segment in text for segment in token.split("."))

    def test_rules_behind_the_type(self, api, issuer):
        header = ES256.header(typ="JWT")
        _, rules = rules_of(issuer.token(header=header))
        assert {name for name, rule in rules.items() if rule["outcome"] != "passed"} == {"typ"}
        text = run("verify_access_token", issuer.token(header=header))[1]
        assert "may be forged" not in text
        _, rules = rules_of(issuer.token(OTHER, header=header))
        assert [rules[name]["outcome"] for name in ("typ", "kid", "alg", "signature")] == [
            *("failed", "passed", "passed", "failed")
        ]
        issuer.publish(ES256, OTHER)
        _, rules = rules_of(issuer.token(OTHER, header=OTHER.header(typ="JWT")))
        assert {name for name, rule in rules.items() if rule["outcome"] != "passed"} == {"typ"}

    @pytest.mark.parametrize("given", ["{}", "  {}\n", "Bearer {}\n"])
    def test_from_standard_input(self, given, api, issuer, monkeypatch):
        for arguments in ((), ("-",)):
            status, _ = run(
                "verify_access_token", *arguments, stdin=given.format(issuer.token()), monkeypatch=monkeypatch
            )
            assert status == 0

    def test_audience_can_be_chosen(self, api, issuer):
        api.AT_JWT = {**api.AT_JWT, "ISSUERS": issuer.settings(audience=[API, REPORTS])}
        token = issuer.token(aud=REPORTS)
        assert rules_of(token)[0]["accepted"]
        assert rules_of(token, "--audience", REPORTS)[0]["accepted"]
        assert rules_of(token, "--audience", API)[1]["aud"]["outcome"] == "failed"
        with pytest.raises(CommandError, match="No issuer in"):
            run("verify_access_token", "--audience", "https://nobodys.example.com/", token)

    def test_empty_input_is_an_error(self, api, monkeypatch):
        with pytest.raises(CommandError, match="No token given"):
            run("verify_access_token", stdin=" \n", monkeypatch=monkeypatch)

    def test_settings_without_an_issuer(self, settings):
        settings.OAUTH2_PROVIDER = settings.AT_JWT = {}
        with pytest.raises(CommandError, match="ISSUERS"):
            run("verify_access_token", "x")

    def test_opaque_token(self, api):
        _, rules = rules_of("an-opaque-token")
        assert rules["form"]["outcome"] == "failed"
        assert rules["form"]["found"] == "1 segments"

    def test_unknown_key_is_asked_for_as_usual(self, api, issuer):
        assert rules_of(issuer.token())[0]["accepted"]
        issuer.publish(ES256, OTHER)
        assert rules_of(issuer.token(OTHER))[0]["accepted"]
        assert issuer.fetches == 2

    def test_bad_signature_is_reported(self, api, issuer):
        status, text = run("verify_access_token", issuer.token(OTHER, header=ES256.header()))
        assert status == 1
        assert "bad_signature" in text
        assert "so the claims may be forged" in text

    def test_issuer_that_is_down(self, api, issuer):
        token = issuer.token()
        issuer.stop()
        document, rules = rules_of(token)
        assert not document["accepted"]
        assert issuer.issuer in document["keys_problem"]
        assert rules["signature"]["outcome"] == "not reached"
        assert rules["aud"]["outcome"] == "passed"
        status, text = run("verify_access_token", token)
        assert status == 2
        assert "Its keys: " in text
        assert text.rstrip().endswith("The token could not be verified: its keys are not available.")
        assert run("verify_access_token", issuer.token(aud=REPORTS))[0] == 1

    def test_none_of_several_issuers(self, api, issuer):
        with running_issuer() as other:
            api.AT_JWT = {**api.AT_JWT, "ISSUERS": issuer.settings() | other.settings()}
            document, rules = rules_of(issuer.token(iss="https://nobody.example.com"))
            assert document["issuer"] is None
            assert rules["iss"]["outcome"] == "failed"
            assert rules["iss"]["expected"] == f"{issuer.issuer} or {other.issuer}"
            assert rules["aud"]["outcome"] == "passed"
            assert not issuer.requests
            assert not other.requests
            assert "(not an accepted issuer)" in run("verify_access_token", issuer.token(iss="x"))[1]
            assert rules_of(other.token())[0] | {"rules": []} == {
                "accepted": True,
                "issuer": other.issuer,
                "keys_problem": None,
                "jti": "token-5b1e",
                "rules": [],
            }

    @pytest.mark.django_db
    def test_local_issuer(self, signing_keys, service):
        document, _ = rules_of(service.token("client_credentials").json()["access_token"])
        assert document["accepted"]

    @pytest.mark.django_db
    def test_client_that_acts_for_itself_has_no_user(self, signing_keys, service):
        _, rules = rules_of(service.token("client_credentials").json()["access_token"])
        assert rules["user"]["expected"] == "(none; the client acts for itself)"

    @pytest.mark.django_db
    def test_user_who_is_refused(self, access_token_issuer, user):
        token = access_token_issuer.token(sub=str(user.pk))
        document, rules = rules_of(token)
        assert document["accepted"]
        assert rules["user"]["found"] == f"primary key {user.pk}"
        user.is_active = False
        user.save()
        assert rules_of(token)[1]["user"]["reason"] == "inactive_subject"
        user.delete()
        status, text = run("verify_access_token", token)
        assert status == 1
        assert "unknown_subject" in text
        assert text.rstrip().endswith("The token is rejected.")

    @pytest.mark.django_db
    def test_user_is_looked_for_last(self, access_token_issuer):
        _, rules = rules_of(access_token_issuer.token(sub="x", exp=1))
        assert rules["user"]["outcome"] == "not reached"

    def test_user_who_is_not_looked_up(self, api, issuer):
        assert "not looked up" in rules_of(issuer.token())[1]["user"]["expected"]

    @pytest.mark.django_db
    def test_user_is_not_provisioned(self, api, issuer):
        api.AT_JWT = {**api.AT_JWT, "ISSUERS": issuer.settings(user_mode="created")}
        before = get_user_model().objects.count()
        document, rules = rules_of(issuer.token())
        assert document["accepted"]
        assert rules["user"]["found"] == "none yet; the first request creates the user"
        assert get_user_model().objects.count() == before

    @pytest.mark.django_db
    def test_user_who_cannot_be_read(self, access_token_issuer, monkeypatch):
        def fail(*_arguments):
            raise OperationalError("the database\nis away")

        monkeypatch.setattr("django_at_jwt.resource_server.diagnosis.known_user", fail)
        with pytest.raises(CommandError, match="The user could not be looked up: the database is away") as refused:
            run("verify_access_token", access_token_issuer.token(sub="1"))
        assert refused.value.returncode == 2

    @pytest.mark.django_db
    def test_missing_tables(self, signing_keys, service, monkeypatch):
        def fail(_database):
            raise OperationalError("no such table: django_at_jwt_signingkey")

        token = service.token("client_credentials").json()["access_token"]
        key_store.clear()
        monkeypatch.setattr(key_store._rows, "_read", fail)
        status, text = run("verify_access_token", token)
        assert status == 2
        assert "Its keys: the signing keys cannot be read: no such table: django_at_jwt_signingkey\n" in text
        assert text.rstrip().endswith("Is the database up, and was manage.py migrate run?")


def revocations(issuer, **changes):
    now = int(time.time())
    claims = {"iss": issuer.issuer, "iat": now, "exp": now + 300, "version": 1, "complete": True}
    claims |= {"tokens": {}, "authorizations": {}, "clients": {}, "audiences": {}}
    header = {"typ": "at-jwt-revocations+jwt", "alg": ES256.algorithm, "kid": ES256.kid}
    return ES256.token(header=header, payload=claims | changes)


class TestIssuers:
    def report(self):
        status, text = run("check_issuers", "--json")
        return status, json.loads(text)["issuers"]

    def test_good_one(self, api, issuer, clock):
        issuer.publish(ES256, OTHER.jwk | {"use": "enc"}, Cache_Control="max-age=1000")
        status, [report] = self.report()
        assert status == 0
        assert report["jwks_uri"] == f"{issuer.root}{KEYS}"
        assert report["keys"] == [{"kid": ES256.kid, "algorithm": "ES256"}]
        assert [key["kid"] for key in report["skipped"]] == [ascii(OTHER.kid)]
        assert report["keys_asked_for_again_after_seconds"] == 800
        assert report["metadata_used_for_seconds"] == 300
        assert report["workers_copy_seconds_old"] is None
        status, text = run("check_issuers")
        assert status == 0
        assert f"used: {ES256.kid} (ES256)" in text
        assert f"not used: '{OTHER.kid}': the key is not for signatures" in text

    def test_the_workers_copy_is_shown_and_left_alone(self, api, issuer, clock):
        verify_token(issuer.token())
        before = dict(caches["default"]._cache)
        clock.pass_by(1)
        status, text = run("check_issuers")
        assert status == 0
        assert "workers' copy: confirmed 1 seconds ago" in text
        assert dict(caches["default"]._cache) == before

    @pytest.mark.parametrize("path", [METADATA, KEYS])
    def test_bad_one(self, path, api, issuer):
        with running_issuer() as good:
            api.AT_JWT = {**api.AT_JWT, "ISSUERS": issuer.settings() | good.settings()}
            issuer.pages[path] = Page(b"<html>", headers={"Content-Type": "text/html"})
            status, reports = self.report()
            assert status == 1
            assert [report["usable"] for report in reports] == [False, True]
            assert "content type is 'text/html'" in reports[0]["problem"]
            assert f"{issuer.issuer}: NOT USABLE" in run("check_issuers")[1]

    def test_one_that_publishes_nothing_of_use(self, api, issuer):
        issuer.publish(OTHER.jwk | {"use": "enc"})
        status, [report] = self.report()
        assert (status, report["usable"], report["keys"]) == (1, False, [])
        assert report["problem"] == "the JWK set contains no usable key"
        status, text = run("check_issuers")
        assert status == 1
        assert "the JWK set contains no usable key" in text
        assert f"not used: '{OTHER.kid}': the key is not for signatures" in text

    def test_revocations_that_are_not_published(self, api, issuer):
        api.AT_JWT = {"ISSUERS": issuer.settings(revocation="deny_list")}
        status, [report] = self.report()
        assert (status, report["usable"], report["revocation"]) == (1, False, "deny_list")
        assert "the issuer announces no document of revocations" in report["problem"]
        status, text = run("check_issuers")
        assert status == 1
        assert "revocation: deny_list" in text
        assert f"used: {ES256.kid} (ES256)" in text

    def test_published_revocations(self, api, issuer):
        api.AT_JWT = {"ISSUERS": issuer.settings(revocation="deny_list")}
        issuer.describe(at_jwt_revocations_uri=f"{issuer.root}/revocations/")
        published = {"Content-Type": "application/at-jwt-revocations+jwt"}
        issuer.pages["/revocations/"] = Page(revocations(issuer).encode(), headers=published)
        assert self.report()[0] == 0
        issuer.pages["/revocations/"] = Page(revocations(issuer, complete=False).encode(), headers=published)
        status, [report] = self.report()
        assert (status, report["problem"]) == (1, "the issuer has too many revocations to publish them")
        issuer.pages["/revocations/"] = Page(revocations(issuer, iss="https://other").encode(), headers=published)
        assert self.report()[0] == 1

    def test_credentials_for_introspection(self, api, issuer):
        api.AT_JWT = {
            "ISSUERS": issuer.settings(revocation="introspect", client_id="the api", client_secret="correct horse")
        }
        issuer.describe(introspection_endpoint=f"{issuer.root}/introspect/")
        issuer.pages["/introspect/"] = Page(b'{"active": false}')
        status, [report] = self.report()
        assert (status, report["usable"]) == (0, True)
        issuer.pages["/introspect/"] = Page(b'{"error": "invalid_client"}', status=401)
        status, [report] = self.report()
        assert (status, report["usable"]) == (1, False)
        assert "its status is 401" in report["problem"]

    def test_no_issuer(self, settings):
        with pytest.raises(CommandError, match="is empty"):
            run("check_issuers")
        settings.AT_JWT = {"ISSUERS": {"https://as.example.com": {}}}
        with pytest.raises(CommandError, match='no "audience"'):
            run("check_issuers")
