"""No private member or key-encryption key in error pages, tracebacks or logs, even with DEBUG on."""

from __future__ import annotations

import base64
import json
import logging
import traceback

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.views.debug import ExceptionReporter
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK
from oauth2_provider.generators import generate_client_secret

from django_at_jwt.authorization_server.client_secrets import keys as client_secrets_keys
from django_at_jwt.authorization_server.client_secrets.keys import client_secret_keys
from django_at_jwt.authorization_server.keys import encryption, rotation
from django_at_jwt.authorization_server.keys.encryption import decrypt_private_key, encrypt_private_key
from django_at_jwt.authorization_server.keys.key_import import read_private_key
from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.core.jose.keys import PrivateKey as OpenKey
from django_at_jwt.models import ClientSecretKey, SigningKey
from tests.commands import run

pytestmark = pytest.mark.django_db

KEK = base64.urlsafe_b64encode(b"the key-encryption key, 32 bytes").decode()
PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "k", "priv")


class Broken(Exception):
    """An unexpected error."""


_raised: list[Broken] = []


@pytest.fixture(autouse=True)
def _remember_errors(monkeypatch):
    original = Broken.__init__

    def remember(self, *args):
        original(self, *args)
        _raised.append(self)

    _raised.clear()
    monkeypatch.setattr(Broken, "__init__", remember)


def broken(*_args, **_kwargs):
    raise Broken("something went wrong")


@pytest.fixture
def secrets_of_the_site(settings):
    settings.DEBUG = True
    settings.AT_JWT = {**settings.AT_JWT, "KEY_ENCRYPTION_KEYS": [KEK]}
    rotate_signing_keys()
    secrets = {KEK, KEK.rstrip("="), "the key-encryption key, 32 bytes"}
    for row in SigningKey.objects.all():
        private = decrypt_private_key(row.private_jwe, kid=row.kid).export_private(as_dict=True)
        secrets |= {private[member] for member in PRIVATE if member in private}
    key_store.forget()
    return secrets


def assert_silent(secrets, *texts):
    for text in texts:
        for secret in secrets:
            assert secret not in text


@pytest.mark.parametrize(
    ("where", "what"),
    [
        (JWE, "decrypt"),
        (OpenKey, "from_jwk"),
        (OpenKey, "sign"),
        (encryption.JWK, "has_private"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_error_page_of_the_token_endpoint(where, what, secrets_of_the_site, service, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(where, what, property(broken) if what == "has_private" else broken)
    browser = Client(raise_request_exception=False)
    data = {"grant_type": "client_credentials", **service.credentials}
    page = browser.post("/o/token/", data, headers={"Accept": "text/html"})
    assert page.status_code >= 500
    assert_silent(secrets_of_the_site, page.content.decode(), caplog.text)


@pytest.mark.parametrize("what", ["export_private", "thumbprint"])
def test_error_report_of_a_rotation(what, secrets_of_the_site, monkeypatch, rf):
    made = []
    generate = JWK.generate

    def remember(**options):
        made.append(generate(**options))
        return made[-1]

    monkeypatch.setattr(JWK, "generate", remember)
    monkeypatch.setattr(JWK, what, broken)
    SigningKey.objects.all().delete()
    with pytest.raises(Broken):
        rotate_signing_keys()
    report = _report(rf)
    monkeypatch.undo()
    private = made[0].export_private(as_dict=True)
    assert_silent(secrets_of_the_site | {private[member] for member in PRIVATE if member in private}, report)


def test_error_report_of_a_new_client_secret_key(secrets_of_the_site, keyed_hasher, monkeypatch, rf):
    made = []
    generate = JWK.generate
    monkeypatch.setattr(JWK, "generate", lambda **options: made.append(generate(**options)) or made[-1])
    monkeypatch.setattr(JWK, "export_symmetric", broken)
    ClientSecretKey.objects.all().delete()
    with pytest.raises(Broken):
        rotate_signing_keys()
    report = _report(rf)
    monkeypatch.undo()
    assert_silent(secrets_of_the_site | {made[-1].export_symmetric(as_dict=True)["k"]}, report)


def test_error_page_of_a_client_secret(secrets_of_the_site, keyed_hasher, make_client, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    secret = generate_client_secret()
    client = make_client("client-credentials", client_secret=secret)
    key = base64.urlsafe_b64encode(client_secret_keys.newest().key).rstrip(b"=").decode()
    client_secret_keys.clear()
    monkeypatch.setattr(client_secrets_keys, "decrypt_private_key", broken)
    browser = Client(raise_request_exception=False)
    data = {"grant_type": "client_credentials", **client.credentials, "client_secret": secret}
    page = browser.post("/o/token/", data, headers={"Accept": "text/html"})
    assert page.status_code >= 500
    assert_silent(secrets_of_the_site | {key}, page.content.decode(), caplog.text)


def test_error_report_of_an_import(secrets_of_the_site, monkeypatch, rf, tmp_path):
    key = JWK.generate(kty="RSA", size=2048)
    private = key.export_private(as_dict=True)
    pem = key.export_to_pem(private_key=True, password=None)
    (tmp_path / "key.pem").write_bytes(pem)
    monkeypatch.setattr(rotation, "encrypt_private_key", broken)
    with pytest.raises(Broken):
        run("import_signing_key", str(tmp_path / "key.pem"))
    lines = pem.decode().splitlines()[1:-1]
    assert_silent({private[member] for member in PRIVATE if member in private} | set(lines), _report(rf))


def _report(rf) -> str:
    """Return Django's error report and Python's traceback of the exception that was raised last."""
    error = _raised[-1]
    trace = error.__traceback__
    # The test's own frames contain the secrets. Only frames of the package and its callees matter.
    while "django_at_jwt/" not in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    reporter = ExceptionReporter(rf.get("/"), type(error), error, trace)
    printed = "".join(traceback.format_exception(type(error), error, trace))
    return reporter.get_traceback_html() + reporter.get_traceback_text() + printed


@pytest.mark.parametrize("text", ['{"kty": "RSA", "d": "a-private-member"}', "-----BEGIN a-private-member", "\x00"])
def test_key_that_cannot_be_read_is_not_quoted(text):
    from django_at_jwt.core.errors import KeyChangeRefused

    with pytest.raises(KeyChangeRefused) as refused:
        read_private_key(text.encode())
    assert "a-private-member" not in "".join(traceback.format_exception(refused.value))


def test_wrong_file_is_not_quoted_on_the_command_line(tmp_path):
    (tmp_path / "key").write_text("a-private-member")
    with pytest.raises(CommandError) as refused:
        call_command("import_signing_key", str(tmp_path / "key"))
    assert "a-private-member" not in str(refused.value)


def test_dump_has_only_ciphertext(secrets_of_the_site):
    dumped = run("dumpdata")
    assert_silent(secrets_of_the_site, dumped)
    rows = [row for row in json.loads(dumped) if row["model"] == "django_at_jwt.signingkey"]
    assert all(row["fields"]["private_jwe"].count(".") == 4 for row in rows)


def test_ciphertext_differs_each_time(secrets_of_the_site):
    key = JWK.generate(kty="EC", crv="P-256")
    assert encrypt_private_key(key, kid="a") != encrypt_private_key(key, kid="a")


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize(
    "wrong", [{"LEEWAY": "x"}, {"LEWAY": 1}, {"KEY_ENCRYPTION_KEYS": KEK}, {"KEY_ENCRYPTION_KEYS": [KEK, KEK[:-3]]}]
)
def test_wrong_settings_do_not_show_the_key_encryption_keys(debug, wrong, settings, signing_keys, service):
    settings.DEBUG = debug
    settings.AT_JWT = {**settings.AT_JWT, "KEY_ENCRYPTION_KEYS": [KEK], **wrong}
    browser = Client(raise_request_exception=False)
    for page in (
        browser.get("/o/.well-known/jwks.json", headers={"Accept": "text/html"}),
        browser.post("/o/token/", {"grant_type": "client_credentials", **service.credentials}),
    ):
        assert KEK not in page.content.decode()
        assert KEK[:-3] not in page.content.decode()
    assert page.status_code >= 500


def test_failed_encryption_quotes_nothing(monkeypatch):
    from django_at_jwt.core.errors import NoSigningKey

    def fail(*_args, **_kwargs):
        raise ValueError("a-private-member")

    monkeypatch.setattr(JWE, "add_recipient", fail)
    with pytest.raises(NoSigningKey) as failed:
        encrypt_private_key(JWK.generate(kty="EC", crv="P-256"), kid="a")
    assert "a-private-member" not in "".join(traceback.format_exception(failed.value))
