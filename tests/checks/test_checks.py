"""System checks: each is triggered and names the remedy."""

from __future__ import annotations

import base64
import secrets
import subprocess
import sys
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_at_jwt import checks
from django_at_jwt.authorization_server.keys.reencryption import rewrap_signing_keys
from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.checks import ids
from django_at_jwt.checks.issuers import check_some_issuer
from django_at_jwt.conf import RFC9700_PROFILE, app_settings
from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.quotation import format_instant
from django_at_jwt.models import ClientSecretKey, SigningKey
from tests.client_secret_fixtures import OURS
from tests.conftest import made_instances
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db


def found(*, deploy=False) -> dict[str, object]:
    messages = run_checks(include_deployment_checks=deploy)
    ours = [message for message in messages if message.id.startswith("django_at_jwt.")]
    return {message.id: message for message in ours if not message.is_silenced()}


@pytest.fixture
def complete(settings, signing_keys):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **RFC9700_PROFILE}
    settings.AT_JWT = {
        **settings.AT_JWT,
        "KEY_ENCRYPTION_KEYS": [base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()],
    }
    settings.PASSWORD_HASHERS = [*settings.PASSWORD_HASHERS, OURS]
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "CLIENT_SECRET_HASHER": "at_jwt_hmac_sha256"}
    # The keys of the fixture are encrypted with the key-encryption key of this site. The one for client secrets is new.
    rewrap_signing_keys()
    rotate_signing_keys()


def test_complete_site_has_no_problems(complete):
    assert found(deploy=True) == {}


def without(settings, name):
    settings.OAUTH2_PROVIDER = {key: value for key, value in settings.OAUTH2_PROVIDER.items() if key != name}


@pytest.mark.parametrize(
    ("name", "check_id", "line"),
    [
        ("OIDC_ISS_ENDPOINT", "django_at_jwt.E002", '"OIDC_ISS_ENDPOINT"'),
        ("ACCESS_TOKEN_GENERATOR", "django_at_jwt.E004", "django_at_jwt.generators.generate_access_token"),
        ("REFRESH_TOKEN_GENERATOR", "django_at_jwt.E005", '"REFRESH_TOKEN_GENERATOR"'),
        ("OAUTH2_VALIDATOR_CLASS", "django_at_jwt.E006", "AccessTokenValidatorMixin"),
    ],
)
def test_forgotten_piece(name, check_id, line, complete, settings):
    without(settings, name)
    messages = found()
    assert list(messages) == [check_id]
    assert line in messages[check_id].hint
    assert name in messages[check_id].msg


@pytest.mark.parametrize("path", ["nowhere.Validator", "tests.site.nowhere.Validator", "tests.site.validators.Nothing"])
def test_validator_that_cannot_be_imported_is_one_message(path, complete, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OAUTH2_VALIDATOR_CLASS": path}
    settings.AT_JWT = {**settings.AT_JWT, "STORE_ACCESS_TOKENS": "users"}
    messages = found()
    assert list(messages) == ["django_at_jwt.E006"]
    assert f"is {path!r}, which cannot be imported" in messages["django_at_jwt.E006"].msg


def test_no_default_resource(complete, settings):
    settings.AT_JWT = {key: value for key, value in settings.AT_JWT.items() if key != "DEFAULT_RESOURCE"}
    assert "DEFAULT_RESOURCE" in found()["django_at_jwt.E003"].hint


@pytest.mark.parametrize(
    "issuer",
    [
        "https://as.example.com/o ",
        "as.example.com",
        "https://as.example.com/o/",
        "https://as.example.com/o?x=1",
        "https://as.example.com/o#x",
        "ftp://x/o",
    ],
)
@pytest.mark.compliance("8414-1")
def test_impossible_issuer(issuer, complete, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": issuer}
    assert "django_at_jwt.E008" in found()


@pytest.mark.compliance("8414-1")
def test_insecure_issuer_is_an_error_in_production(complete, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": "http://as.example.com/o"}
    assert found() == {}
    assert list(found(deploy=True)) == ["django_at_jwt.E101"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"DEFAULT_RESOURSE": "https://api.example.com/"}, "; use DEFAULT_RESOURCE."),
        ({"xyz": 1}, "; use one of ACCEPT_OPAQUE_TOKENS, ATTEMPT_CACHE, "),
        ({1: 1}, "AT_JWT[1] is not a setting of this app"),
        ({"ISSUERS": {"https://as.example.com/o": {"audiance": "x"}}}, "is not an option of an issuer; use audience"),
        ({"DEFAULT_RESOURCE": "/api/"}, "absolute URI"),
        ({"DEFAULT_RESOURCE": 1}, "absolute URI"),
        ({"RESOURCE_SERVERS": "https://api.example.com/"}, "or a list of identifiers"),
        ({"RESOURCE_SERVERS": ["/api/"]}, "must have absolute URIs"),
        ({"SIGNING_ALGORITHMS": ["HS256"]}, "must be a non-empty list without duplicates of RS256"),
        ({"SIGNING_ALGORITHMS": []}, "must be a non-empty list without duplicates of RS256"),
        ({"SIGNING_ALGORITHMS": ["RS256", "RS256"]}, "without duplicates"),
        ({"ROTATION_INTERVAL": "90 days"}, "timedelta"),
        ({"ROTATION_INTERVAL": -1}, "negative"),
        ({"ROTATION_INTERVAL": 900_000_000_000}, "must be at most 36525 days"),
        ({"PROPAGATION_TIME": timedelta.max}, "must be at most 36525 days"),
        ({"KEY_RING_MAX_AGE": 10**30}, "must be at most 36525 days"),
        ({"LEEWAY": -(10**30)}, "negative"),
        ({"ROTATION_INTERVAL": True}, "timedelta"),
        ({"RETENTION": "x"}, "timedelta"),
        ({"LEEWAY": 1.5}, "whole number of seconds"),
        ({"LEEWAY": 601}, 'AT_JWT["LEEWAY"] must be at most 600 seconds (got 601).'),
        ({"LEEWAY": timedelta(days=1)}, "must be at most 600 seconds (got 86400)."),
        ({"MAX_TOKEN_BYTES": 0}, 'AT_JWT["MAX_TOKEN_BYTES"] must be a positive integer (got 0).'),
        ({"MAX_TOKEN_BYTES": "16"}, "must be a positive integer (got '16')."),
        ({"VERIFIED_TOKEN_CACHE_SIZE": -1}, "must be a non-negative integer (got -1)."),
        ({"ISSUER_CACHE": None}, "must be a string (got None)."),
        ({"KEY_ENCRYPTION_KEYS": ["c2hvcnQ"]}, "32 bytes"),
        ({"KEY_ENCRYPTION_KEYS": ["a very secret text that is none"]}, "32 bytes"),
        ({"LOCAL_KEY_RING": "nothing"}, "dotted path"),
        ({"PAIRWISE_SUBJECT_KEY": "a very secret text"}, "32 bytes"),
        ({"KEY_ENCRYPTION_KEYS": "a very secret text"}, "must be a list (got str)."),
        ({"CLAIM_HASH_KEYS": {"x": "secret text"}}, "that of 'x' is not"),
        ({"CLAIM_HASH_KEYS": "a very secret text"}, "must be a dict of keys by name"),
        ("a very secret text", "AT_JWT must be a dict (got str)."),
        (["DEFAULT_RESOURCE"], "AT_JWT must be a dict (got list)."),
    ],
)
def test_unusable_setting(values, expected, settings):
    settings.AT_JWT = values
    message = found()["django_at_jwt.E001"]
    assert expected in message.msg
    assert "secret text" not in message.msg


@pytest.mark.parametrize("keys", [[""], ["abc"], None, "abc"])
def test_invalid_key_encryption_keys_are_one_message(keys, complete, settings):
    settings.AT_JWT = {**settings.AT_JWT, "KEY_ENCRYPTION_KEYS": keys}
    assert list(found(deploy=True)) == ["django_at_jwt.E001"]


def test_setting_that_is_read_as_it_is_now(settings):
    before = app_settings()
    assert app_settings() is before
    settings.AT_JWT = {"DEFAULT_RESOURCE": "https://other.example.com/", "RETENTION": 5, "LEEWAY": 7}
    assert app_settings().default_resource == "https://other.example.com/"
    assert app_settings().rotation_policy(longest_lifetime=9).retention.total_seconds() == 5
    assert app_settings().leeway == 7
    settings.AT_JWT = {}
    assert app_settings().default_resource is None


class TestUrls:
    def test_none_at_all(self, complete, settings):
        settings.ROOT_URLCONF = "tests.site.urls_without"
        assert 'include("django_at_jwt.urls")' in found()["django_at_jwt.E007"].hint

    def test_the_toolkits_own(self, complete, settings):
        settings.ROOT_URLCONF = "tests.site.urls_of_the_toolkit"
        assert 'include("oauth2_provider.urls")' in found()["django_at_jwt.E007"].hint

    def test_not_at_the_root(self, complete, settings):
        settings.ROOT_URLCONF = "tests.site.urls_without_root"
        assert "well_known_urls" in found()["django_at_jwt.W002"].hint

    def test_issuer_names_another_place(self, complete, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": "https://as.example.com/oauth"}
        assert "'/oauth'" in found()["django_at_jwt.W003"].msg

    def test_issuer_at_the_root(self, complete, settings):
        settings.ROOT_URLCONF = "tests.site.urls_at_the_root"
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": "https://as.example.com"}
        assert found() == {}


def test_no_signing_key(settings):
    assert "rotate_signing_keys" in found()["django_at_jwt.W001"].hint
    rotate_signing_keys()
    assert "django_at_jwt.W001" not in found()


def test_production(settings):
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        **RFC9700_PROFILE,
        "ACCESS_TOKEN_EXPIRE_SECONDS": 36000,
        "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": False,
    }
    rotate_signing_keys()
    assert set(found(deploy=True)) == {f"django_at_jwt.{number}" for number in ("W101", "W102", "W103", "W107")}
    assert found() == {}


def test_project_without_the_toolkit_is_not_asked_for_an_issuer(settings, monkeypatch):
    monkeypatch.setattr(apps, "is_installed", lambda _app: False)
    monkeypatch.setattr(ids, "sys", SimpleNamespace(modules={}))  # No view takes access tokens.
    settings.OAUTH2_PROVIDER = {}
    settings.AT_JWT = {}
    for check in (*checks.ALL_CHECKS, *checks.DEPLOYMENT_CHECKS):
        assert check() == []


def test_project_without_the_toolkit_whose_views_expect_no_issuer(settings, monkeypatch):
    monkeypatch.setattr(apps, "is_installed", lambda _app: False)
    settings.OAUTH2_PROVIDER = {}
    settings.AT_JWT = {}
    [message] = check_some_issuer()
    assert message.id == "django_at_jwt.W014"
    assert '"ISSUERS": {"https://as.example.com/o": {"audience": "https://api.example.com/"}}' in message.hint
    settings.AT_JWT = {"ISSUERS": {"https://as.example.com/o": {"audience": settings.API}}}
    assert check_some_issuer() == []


def test_every_id_is_used_once():
    assert len(set(checks.CheckId)) == len(checks.CheckId.__members__)


@pytest.mark.parametrize(
    ("at_jwt", "provider", "numbers"),
    [
        ({"PROPAGATION_TIME": 3600}, {}, ("1:00:00", "1:01:00")),
        ({"PROPAGATION_TIME": 4000}, {"OIDC_JWKS_MAX_AGE_SECONDS": 7200}, ("1:06:40", "2:01:00")),
        ({"RETENTION": 3600}, {}, ("1:00:00", "0:00:30")),
        ({"RETENTION": 86400}, {"ACCESS_TOKEN_EXPIRE_SECONDS": 10 * 365 * 86400}, ("1 day", "3650 days")),
        ({"ROTATION_INTERVAL": 86400}, {}, ("1 day", "7 days")),
    ],
)
def test_policy_that_would_break_tokens(at_jwt, provider, numbers, complete, settings):
    settings.AT_JWT = {**settings.AT_JWT, **at_jwt}
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **provider}
    messages = found()
    assert list(messages) == ["django_at_jwt.E009"]
    for number in numbers:
        assert number in messages["django_at_jwt.E009"].msg
    # The policy is enforced even if the checks are not run.
    SigningKey.objects.all().delete()
    for arguments in (["rotate_signing_keys"], ["rotate_signing_keys", "--now", "--dry-run"]):
        with pytest.raises(CommandError) as refused:
            call_command(*arguments)
        assert numbers[0] in str(refused.value)
        assert "\n" not in str(refused.value)
    assert not SigningKey.objects.exists()


def test_revoked_key_that_a_backup_brought_back(complete, settings):
    kid = SigningKey.objects.first().kid
    settings.AT_JWT = {**settings.AT_JWT, "REVOKED_KIDS": [kid]}
    assert f'revoke_signing_key --reason "restored from a backup" -- {kid}' in found()["django_at_jwt.E010"].hint
    SigningKey.objects.filter(kid=kid).update(revoked_at="2026-01-01T00:00:00Z")
    assert "django_at_jwt.E010" not in found()


def test_private_keys_that_cannot_be_opened_are_named(complete, settings):
    former = settings.AT_JWT["KEY_ENCRYPTION_KEYS"]
    new = [base64.urlsafe_b64encode(b"x" * 32).decode()]
    settings.AT_JWT = {**settings.AT_JWT, "KEY_ENCRYPTION_KEYS": new + former}
    assert "rewrap_signing_keys" in found(deploy=True)["django_at_jwt.W104"].hint
    settings.AT_JWT = {**settings.AT_JWT, "KEY_ENCRYPTION_KEYS": new}
    assert found() == {}
    errors = [message for message in run_checks(include_deployment_checks=True) if message.id == "django_at_jwt.E102"]
    keys = [*SigningKey.objects.all(), *ClientSecretKey.objects.all()]
    assert len(errors) == len(keys) == 3
    for key in keys:
        assert any(key.kid in error.msg for error in errors)


def test_public_halves_that_were_swapped_are_named(complete):
    one, other = SigningKey.objects.order_by("signing_at")
    SigningKey.objects.filter(pk=one.pk).update(public_jwk=other.public_jwk)
    SigningKey.objects.filter(pk=other.pk).update(public_jwk=one.public_jwk)
    assert found() == {}
    errors = [message for message in run_checks(include_deployment_checks=True) if message.id == "django_at_jwt.E102"]
    assert {error.msg for error in errors} == {
        f"The private half of signing key {row.kid} does not belong to its public half." for row in (one, other)
    }
    assert "revoke" in errors[0].hint
    SigningKey.objects.filter(pk=one.pk).update(public_jwk={"kty": "RSA"})
    errors = [message for message in run_checks(include_deployment_checks=True) if message.id == "django_at_jwt.E102"]
    assert any(f"The public half of signing key {one.kid} cannot be used" in error.msg for error in errors)


def test_former_keys_that_cannot_be_opened_are_named_too(complete):
    [signing, announced] = SigningKey.objects.order_by("signing_at")
    now = timezone.now()
    times = {"signing_at": now - timedelta(days=9), "retained_at": now - timedelta(days=8)}
    for garbage in ("garbage", announced.private_jwe):
        SigningKey.objects.filter(pk=signing.pk).update(**times, private_jwe=garbage)
        [message] = [each for each in run_checks(include_deployment_checks=True) if each.id == "django_at_jwt.W106"]
        assert signing.kid in message.msg
        assert "django_at_jwt.E102" not in found(deploy=True)
    # Retired keys are rewrapped too.
    SigningKey.objects.filter(pk=signing.pk).update(retired_at=now - timedelta(days=7))
    assert "django_at_jwt.W106" in found(deploy=True)
    # Not reported for a revoked key, whose private key is erased.
    SigningKey.objects.filter(pk=signing.pk).update(revoked_at=now, private_jwe="")
    assert "django_at_jwt.W106" not in found(deploy=True)


class TestRows:
    """Problems that a rotation would fix, reported if rotations do not run."""

    def test_algorithm_without_a_key(self, complete, settings):
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["RS256", "ES256"]}
        messages = found()
        assert list(messages) == ["django_at_jwt.W017"]
        assert messages["django_at_jwt.W017"].msg.startswith('ES256 is in AT_JWT["SIGNING_ALGORITHMS"]')
        assert "rotate_signing_keys" in messages["django_at_jwt.W017"].hint
        rotate_signing_keys()
        assert found() == {}

    @pytest.mark.parametrize("ends", [True, False])
    def test_no_next_key(self, ends, complete):
        SigningKey.objects.order_by("signing_at").last().delete()
        if not ends:
            SigningKey.objects.update(retained_at=None, retired_at=None)
        messages = found()
        assert messages["django_at_jwt.W017"].msg == "No next key is announced for RS256."
        assert list(messages) == ["django_at_jwt.W017"]

    @pytest.mark.parametrize(("days", "said"), [(80, False), (82, False), (84, True)])
    def test_next_key_but_one_when_a_daily_run_has_not_announced_it(self, days, said, complete):
        past = timedelta(days=days)
        for key in SigningKey.objects.all():
            key.signing_at, key.announced_at = key.signing_at - past, key.announced_at - past
            if key.retained_at is not None:
                key.retained_at, key.retired_at = key.retained_at - past, key.retired_at - past
            key.save()
        announced = SigningKey.objects.order_by("signing_at").last()
        messages = found()
        assert list(messages) == (["django_at_jwt.W017"] if said else [])
        if said:
            assert messages["django_at_jwt.W017"].msg == (
                f"The last announced key for RS256 signs from {format_instant(announced.signing_at)}, and no successor "
                "is announced."
            )
            rotate_signing_keys()
            assert found() == {}

    def test_two_that_sign_without_end(self, complete):
        now = timezone.now()
        SigningKey.objects.update(retained_at=None, retired_at=None, signing_at=now - timedelta(days=1))
        messages = found()
        assert "signs without end" in messages["django_at_jwt.W018"].msg
        assert "RS256" in messages["django_at_jwt.W017"].msg

    def test_key_that_signs_past_the_start_of_the_next_one(self, complete):
        signing = SigningKey.objects.order_by("signing_at").first()
        SigningKey.objects.filter(pk=signing.pk).update(retained_at=signing.retained_at + timedelta(days=1))
        assert f"{signing.kid} signs until" in found()["django_at_jwt.W018"].msg

    def test_lifetime_that_was_raised(self, complete, settings):
        signing = SigningKey.objects.order_by("signing_at").first()
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ACCESS_TOKEN_EXPIRE_SECONDS": 7200}
        messages = found()
        assert list(messages) == ["django_at_jwt.W018"]
        assert messages["django_at_jwt.W018"].msg == (
            f"Signing key {signing.kid} is published until {format_instant(signing.retired_at)}, but its tokens may "
            f"live until {format_instant(signing.retired_at + timedelta(hours=1))}."
        )
        rotate_signing_keys()
        assert found() == {}

    def test_algorithm_that_is_not_in_use_any_more(self, settings, keys_made_quickly):
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["ES256", "EdDSA"]}
        rotate_signing_keys()
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["ES256"]}
        assert "EdDSA is no longer in AT_JWT" in found()["django_at_jwt.W018"].msg
        rotate_signing_keys()
        assert found() == {}


def test_keys_that_are_only_announced(complete):
    for key in SigningKey.objects.all():
        key.signing_at += timedelta(days=1)
        key.save()
    message = found()["django_at_jwt.W001"]
    assert "No signing key signs before" in message.msg


def test_retired_keys_count_as_no_keys_and_only_deployment_checks_read_their_rows(complete):
    now, day = timezone.now(), timedelta(days=1)
    SigningKey.objects.update(signing_at=now - 9 * day, retained_at=now - 8 * day, retired_at=now - 7 * day)
    with made_instances(SigningKey) as read:
        assert list(found()) == ["django_at_jwt.W001"]
    assert read == []
    assert list(found(deploy=True)) == ["django_at_jwt.W001"]


@pytest.mark.skipif("ML-DSA-44" not in ALGORITHMS, reason="this jwcrypto or cryptography has no ML-DSA")
def test_post_quantum_tokens_are_large(complete, settings):
    settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["RS256", "ML-DSA-44"]}
    assert "3726 bytes" in found()["django_at_jwt.W004"].msg


def test_mixin_in_second_place(complete, settings):
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "OAUTH2_VALIDATOR_CLASS": "tests.site.validators.MixinTooLate",
    }
    assert "(AccessTokenValidatorMixin, OAuth2Validator)" in found()["django_at_jwt.E006"].hint


def test_issuer_with_a_trailing_slash_gets_a_suggestion(complete, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": "https://as.example.com/o/"}
    messages = found()
    assert list(messages) == ["django_at_jwt.E008"]
    assert "https URL (http only in development)" in messages["django_at_jwt.E008"].hint
    assert "Use 'https://as.example.com/o'." in messages["django_at_jwt.E008"].hint


ISSUER_MODULES = [
    "admin_mixins",
    "client_metadata",
    "generators",
    "hashers",
    "issuance",
    "oauth2_views",
    "revocation",
    "scopes",
    "urls",
    "validators",
    "well_known_urls",
]
IMPORT_EACH = """
import sys
from importlib import import_module

import django
from django.conf import settings

apps, modules = (argument.split() for argument in sys.argv[1:])
settings.configure(INSTALLED_APPS=apps)
django.setup()
for module in modules:
    try:
        import_module(f"django_at_jwt.{module}")
    except Exception as error:
        print(module, type(error).__name__, error)
"""


@pytest.mark.parametrize("missing", ["django_at_jwt", "oauth2_provider"])
def test_app_that_is_not_installed(missing):
    others = {"django.contrib.auth", "django.contrib.contenttypes", "django_at_jwt", "oauth2_provider"} - {missing}
    # In another process: here, the modules of both apps are imported already.
    command = [sys.executable, "-c", IMPORT_EACH, " ".join(sorted(others)), " ".join(ISSUER_MODULES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f'{module} ImproperlyConfigured Add "{missing}" to INSTALLED_APPS.' for module in ISSUER_MODULES
    ]


class TestAuthentication:
    @pytest.mark.parametrize("name", ["AUTHENTICATION_EVENT", "AUTHENTICATION_CONTEXTS"])
    @pytest.mark.parametrize(
        ("path", "problem"),
        [
            ("nowhere.function", "cannot be imported"),
            ("tests.site.logins.no_such_function", "cannot be imported"),
            ("tests.site.logins.not_a_function", "is not callable"),
        ],
    )
    def test_invalid_callable(self, name, path, problem, complete, settings):
        settings.AT_JWT = {**settings.AT_JWT, name: path}
        messages = found()
        assert list(messages) == ["django_at_jwt.E011"]
        assert problem in messages["django_at_jwt.E011"].msg
        assert name in messages["django_at_jwt.E011"].msg

    def test_callables_that_are(self, complete, settings):
        settings.AT_JWT = {
            **settings.AT_JWT,
            "AUTHENTICATION_EVENT": "tests.site.logins.by_smart_card",
            "AUTHENTICATION_CONTEXTS": "tests.site.logins.context_of",
        }
        assert found() == {}

    def test_backend_that_is_not_in_use(self, complete, settings):
        settings.AT_JWT = {**settings.AT_JWT, "AUTHENTICATION_METHODS": {"django.contrib.auth.ModelBackend": ["pwd"]}}
        messages = found()
        assert list(messages) == ["django_at_jwt.W005"]
        assert "Use django.contrib.auth.backends.ModelBackend." in messages["django_at_jwt.W005"].hint
        settings.AT_JWT = {**settings.AT_JWT, "AUTHENTICATION_METHODS": {settings.AUTHENTICATION_BACKENDS[0]: ["pwd"]}}
        assert found() == {}

    def test_methods_that_are_not_registered(self, complete, settings):
        settings.AT_JWT = {
            **settings.AT_JWT,
            "AUTHENTICATION_METHODS": {settings.AUTHENTICATION_BACKENDS[0]: ["pwd", "password"]},
            "AUTHENTICATION_CONTEXTS": {
                "urn:example:2": ["mfa"],
                "urn:example:1": ["retin"],
                "urn:example:3": ["retin"],
            },
        }
        messages = [message for message in run_checks() if message.id == "django_at_jwt.W006"]
        assert set(found()) == {"django_at_jwt.W006"}
        assert ["'password'" in messages[0].msg, "'retin'" in messages[1].msg] == [True, True]
        assert "Use retina," in messages[1].hint
        assert len(messages) == 2

    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("AUTHENTICATION_METHODS", "pwd", "must be a dict of lists"),
            ("AUTHENTICATION_METHODS", {"a.b": "pwd"}, "the entry 'a.b' must be a list"),
            ("AUTHENTICATION_METHODS", {"a.b": [1]}, "must contain only strings"),
            ("AUTHENTICATION_METHODS", {1: ["pwd"]}, "must be a string"),
            ("AUTHENTICATION_METHODS", {"a.b": [""]}, "empty string"),
            ("AUTHENTICATION_CONTEXTS", ["mfa"], "must be a dict of lists"),
            ("AUTHENTICATION_CONTEXTS", {"": ["mfa"]}, "empty string"),
            ("AUTHENTICATION_CONTEXTS", "name", "dotted path"),
            ("AUTHENTICATION_EVENT", lambda request, user: None, "dotted path"),
        ],
    )
    def test_unusable_setting(self, name, value, expected, complete, settings):
        settings.AT_JWT = {**settings.AT_JWT, name: value}
        assert expected in found()["django_at_jwt.E001"].msg


class TestRemoteIssuers:
    def of(self, settings, *issuers, **options):
        settings.AT_JWT = {**settings.AT_JWT, "ISSUERS": dict.fromkeys(issuers, options)}
        return found()

    def test_good_ones(self, complete, settings):
        assert self.of(settings, "https://as.example.com/", "https://other.example.com/o", audience=settings.API) == {}

    @pytest.mark.parametrize("options", [{}, {"audience": []}])
    def test_without_an_audience(self, options, complete, settings):
        [(check_id, message)] = self.of(settings, "https://other.example.com", **options).items()
        assert check_id == "django_at_jwt.E014"
        assert '"https://other.example.com": {"audience": "https://api.example.com/"}' in message.hint

    @pytest.mark.parametrize(
        "issuer",
        ["http://as.example.com", "http://127.0.0.1", "as.example.com", "https://", "https://a#b", "https://a?b", ""],
    )
    def test_no_https_url(self, issuer, complete, settings):
        [(check_id, message)] = self.of(settings, issuer, audience=settings.API).items()
        assert check_id == "django_at_jwt.E015"
        assert repr(issuer) in message.msg

    def test_http_on_a_loopback_is_for_development(self, complete, settings):
        settings.DEBUG = True
        assert self.of(settings, "http://127.0.0.1:8000/o", "http://localhost", audience=settings.API) == {}
        # As in "manage.py test"; the hint names the option that leaves DEBUG on.
        settings.DEBUG = False
        [message] = self.of(settings, "http://127.0.0.1:8000/o", audience=settings.API).values()
        assert "--debug-mode" in message.hint
        settings.DEBUG = True
        assert list(self.of(settings, "http://as.example.com", audience=settings.API)) == ["django_at_jwt.E015"]

    def test_this_very_project(self, complete, settings):
        [(check_id, message)] = self.of(settings, settings.ISSUER, audience=settings.API).items()
        assert check_id == "django_at_jwt.E015"
        assert "own issuer" in message.msg

    @pytest.mark.parametrize(
        ("backend", "words"),
        [
            ("locmem.LocMemCache", "is 'default', a LocMemCache, which processes do not share"),
            ("dummy.DummyCache", "a DummyCache"),
            (None, "which is not in CACHES"),
        ],
    )
    def test_cache_that_is_not_shared_is_a_warning_in_production(self, backend, words, complete, settings):
        default = backend or "locmem.LocMemCache"
        settings.CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{default}"}}
        if backend is None:
            settings.AT_JWT = {**settings.AT_JWT, "ISSUER_CACHE": "shared"}
        assert found(deploy=True) == {}
        assert self.of(settings, "https://other.example.com", audience=settings.API) == {}
        [(check_id, message)] = found(deploy=True).items()
        assert check_id == "django_at_jwt.W105"
        assert words in message.msg
        settings.CACHES = {
            name: {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "/nowhere"}
            for name in ("default", "shared")
        }
        assert found(deploy=True) == {}

    @pytest.mark.parametrize(
        ("issuers", "words"),
        [
            (["https://a"], "must be a dict such as"),
            ({"https://a": "https://api"}, "must be a dict of the issuer's options (got 'https://api')"),
            ({5: {}}, "must have an issuer URL as its key"),
            ({"https://a": {"audiance": "https://api"}}, "; use audience."),
            ({"https://a": {"audience": ""}}, "must not contain an empty string"),
            ({"https://a": {"audience": ["api", ""]}}, "must not contain an empty string"),
            ({"https://a": {"audience": 5}}, "must be a list"),
            ({"https://a": {"leeway": -1}}, "must not be negative"),
            ({"https://a": {"leeway": 86400 * 365}}, "must be at most 600 seconds"),
            ({"https://a": {"algorithms": ["HS256"]}}, "must be a non-empty list"),
            ({"https://a": {"token_endpoint": "/o/token/"}}, "must be an https URL"),
            ({"https://a": {"authorization_endpoint": "https://a/authorize"}}, 'needs a "token_endpoint"'),
            ({"https://a": {"required_claims": "tenant"}}, "must be a list"),
            ({"https://a": {"user_mode": "any"}}, "must be one of local, created, stateless"),
        ],
    )
    def test_invalid_issuers(self, issuers, words, complete, settings):
        settings.AT_JWT = {**settings.AT_JWT, "ISSUERS": issuers}
        [(check_id, message)] = found().items()
        assert check_id == "django_at_jwt.E001"
        assert 'AT_JWT["ISSUERS"]' in message.msg
        assert words in message.msg
