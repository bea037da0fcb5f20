"""The command that imports signing keys."""

from __future__ import annotations

import base64
import io
import json
import sys
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from django.core.management import CommandError
from django.utils import timezone
from jwcrypto.jwk import JWK

from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.core.quotation import format_instant
from django_at_jwt.models import SigningKey
from tests.commands import run
from tests.conftest import decoded
from tests.signing_key_rows import key_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("connection_of_the_test")]


def base64url_uint(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


def _pem_of(key, password=None):
    return key.export_to_pem(private_key=True, password=password)


def _certificate_of(key):
    private = load_pem_private_key(_pem_of(key), None)
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")]), timezone.now()
    builder = x509.CertificateBuilder(name, name, private.public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM)


class TestImport:
    @pytest.fixture
    def pem(self):
        return JWK.generate(kty="RSA", size=2048).export_to_pem(private_key=True, password=None)

    def test_pem_into_an_empty_table_signs_at_once(self, db, pem, tmp_path, service):
        (tmp_path / "key.pem").write_bytes(pem)
        said = run("import_signing_key", str(tmp_path / "key.pem"))
        kid = JWK.from_pem(pem).thumbprint()
        assert kid in said
        token = service.token("client_credentials").json()["access_token"]
        assert decoded(token)[0]["kid"] == kid
        assert key_in(KeyState.ANNOUNCED)

    def test_key_among_others_is_announced_first(self, signing_keys, pem, tmp_path):
        (tmp_path / "key.pem").write_bytes(pem)
        former = key_in(KeyState.SIGNING).kid
        dry = run("import_signing_key", str(tmp_path / "key.pem"), "--dry-run")
        said = run("import_signing_key", str(tmp_path / "key.pem"))
        row = SigningKey.objects.get(kid=JWK.from_pem(pem).thumbprint())
        assert f"Would change {former}: it signs until " in dry
        assert f"Changed {former}: it signs until {format_instant(row.signing_at)} and is published" in said
        assert row.state_at(timezone.now()) is KeyState.ANNOUNCED
        assert row.signing_at == row.announced_at + timedelta(days=7)
        assert key_in(KeyState.SIGNING).retained_at == row.signing_at
        assert row.retained_at is not None

    def test_jwk_from_standard_input(self, db, monkeypatch, settings):
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["ES256"]}
        jwk = JWK.generate(kty="EC", crv="P-256")
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(jwk.export_private().encode())))
        assert jwk.thumbprint() in run("import_signing_key", "-")

    def test_from_the_toolkits_setting(self, db, pem, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_RSA_PRIVATE_KEY": pem.decode()}
        run("import_signing_key", "--from-oidc-setting")
        assert SigningKey.objects.filter(kid=JWK.from_pem(pem).thumbprint()).exists()

    def test_encrypted_pem(self, db, tmp_path, monkeypatch):
        key = JWK.generate(kty="RSA", size=2048)
        (tmp_path / "key.pem").write_bytes(key.export_to_pem(private_key=True, password=b"secret"))
        with pytest.raises(CommandError, match="environment variable of its password with --password-variable"):
            run("import_signing_key", str(tmp_path / "key.pem"))
        with pytest.raises(CommandError, match="KEY_PASSWORD is not set"):
            run("import_signing_key", str(tmp_path / "key.pem"), "--password-variable", "KEY_PASSWORD")
        monkeypatch.setenv("KEY_PASSWORD", "secret")
        run("import_signing_key", str(tmp_path / "key.pem"), "--password-variable", "KEY_PASSWORD")
        assert SigningKey.objects.filter(kid=key.thumbprint()).exists()

    def test_key_of_another_kind(self, db, tmp_path):
        key = JWK.generate(kty="EC", crv="P-256")
        (tmp_path / "key.pem").write_bytes(key.export_to_pem(private_key=True, password=None))
        with pytest.raises(
            CommandError, match=r"needs a key of type RSA, or name another algorithm with --algorithm\.$"
        ):
            run("import_signing_key", str(tmp_path / "key.pem"))

    def test_key_is_imported_only_once(self, db, pem, tmp_path):
        (tmp_path / "key.pem").write_bytes(pem)
        run("import_signing_key", str(tmp_path / "key.pem"))
        with pytest.raises(CommandError, match="already exists"):
            run("import_signing_key", str(tmp_path / "key.pem"))

    def test_order_among_the_members_is_ignored(self, db, tmp_path):
        jwk = JWK.generate(kty="RSA", size=2048)
        (tmp_path / "key").write_text(json.dumps({**jwk.export_private(as_dict=True), "generate": "RSA"}))
        assert jwk.thumbprint() in run("import_signing_key", str(tmp_path / "key"))

    @pytest.mark.compliance("7638-1")
    def test_zero_bytes_in_front_of_numbers_are_removed(self, db, tmp_path, service):
        jwk = JWK.generate(kty="RSA", size=2048)
        members = jwk.export_private(as_dict=True)
        for name in ("n", "e", "d", "p", "q"):
            number = base64.urlsafe_b64decode(members[name] + "=" * (-len(members[name]) % 4))
            members[name] = base64.urlsafe_b64encode(b"\0" + number).rstrip(b"=").decode()
        (tmp_path / "key").write_text(json.dumps(members))
        assert jwk.thumbprint() in run("import_signing_key", str(tmp_path / "key"))
        assert SigningKey.objects.get(kid=jwk.thumbprint()).public_jwk == {
            name: jwk[name] for name in ("kty", "n", "e")
        }
        token = service.token("client_credentials").json()["access_token"]
        assert decoded(token)[0]["kid"] == jwk.thumbprint()

    def test_ed25519_with_another_public_half(self, db, tmp_path, settings):
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["EdDSA"]}
        one, other = (JWK.generate(kty="OKP", crv="Ed25519") for _ in range(2))
        (tmp_path / "key").write_text(json.dumps({**one.export_private(as_dict=True), "x": other["x"]}))
        with pytest.raises(CommandError, match="does not belong"):
            run("import_signing_key", str(tmp_path / "key"))

    def test_dry_run(self, db, pem, tmp_path):
        (tmp_path / "key.pem").write_bytes(pem)
        assert "Would import" in run("import_signing_key", str(tmp_path / "key.pem"), "--dry-run")
        assert not SigningKey.objects.exists()

    @staticmethod
    def _with_exponent(exponent: int) -> str:
        numbers = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_numbers()
        p, q, n = numbers.p, numbers.q, numbers.public_numbers.n
        d = pow(exponent, -1, (p - 1) * (q - 1))
        values = {"n": n, "e": exponent, "d": d, "p": p, "q": q, "dp": d % (p - 1), "dq": d % (q - 1)}
        values["qi"] = pow(q, -1, p)
        return json.dumps({"kty": "RSA", **{name: base64url_uint(value) for name, value in values.items()}})

    WEAK = {
        "large exponent": lambda: TestImport._with_exponent(2**89 - 1),
        "padded": lambda: json.dumps(
            {**(jwk := JWK.generate(kty="RSA", size=2048).export_private(as_dict=True)), "n": f"{jwk['n']}=="}
        ),
        "small": lambda: JWK.generate(kty="RSA", size=1024).export_private(),
        "exponent": lambda: JWK.generate(kty="RSA", size=2048, public_exponent=3).export_private(),
        "other type": lambda: JWK.generate(kty="EC", crv="P-256").export_private(),
        "for encryption": lambda: JWK.generate(kty="RSA", size=2048, use="enc").export_private(),
        "public": lambda: JWK.generate(kty="RSA", size=2048).export_public(),
        "symmetric": lambda: JWK.generate(kty="oct", size=256).export(),
        "other private half": lambda: json.dumps(
            {
                **JWK.generate(kty="RSA", size=2048).export_private(as_dict=True),
                "n": JWK.generate(kty="RSA", size=2048)["n"],
            }
        ),
        "no primes": lambda: json.dumps(
            {
                name: value
                for name, value in JWK.generate(kty="RSA", size=2048).export_private(as_dict=True).items()
                if name in {"kty", "n", "e", "d"}
            }
        ),
        "an order to make one": lambda: '{"generate": "RSA", "size": 2048}',
        "deep": lambda: '{"kty":' * 100_000,
        "nonsense": lambda: "nonsense",
        "empty": lambda: "",
        "broken JSON": lambda: "{",
    }

    @pytest.mark.compliance("8725-5")
    @pytest.mark.parametrize("make", WEAK.values(), ids=WEAK)
    def test_unacceptable_keys(self, make, db, tmp_path):
        (tmp_path / "key").write_text(make())
        with pytest.raises(CommandError) as refused:
            run("import_signing_key", str(tmp_path / "key"))
        assert "\n" not in str(refused.value)
        assert not SigningKey.objects.exists()

    UNREADABLE = {
        "empty": (lambda _key: b"\n", "It is empty."),
        "truncated": (lambda key: _pem_of(key)[:100], "The PEM is incomplete, damaged, or not of a private key."),
        "truncated JWK": (
            lambda key: key.export_private()[:100].encode(),
            "The JSON is incomplete, or not a private JWK.",
        ),
        "text": (lambda _key: b"one line\nand another", "Not a PEM or JWK private key."),
        "public PEM": (lambda key: key.export_to_pem(), "This is a public key. Import the private key."),
        "public JWK": (lambda key: key.export_public().encode(), "This is a public key. Import the private key."),
        "certificate": (_certificate_of, "This is a certificate. Import the private key."),
    }

    @pytest.mark.parametrize(("make", "said"), UNREADABLE.values(), ids=UNREADABLE)
    def test_unreadable_file_is_named_with_the_reason(self, make, said, db, tmp_path):
        file = tmp_path / "key"
        file.write_bytes(make(JWK.generate(kty="EC", crv="P-256")))
        with pytest.raises(CommandError) as refused:
            run("import_signing_key", str(file))
        assert str(refused.value) == f"'{file}': {said}"

    def test_wrong_password(self, db, tmp_path, monkeypatch):
        key, file = JWK.generate(kty="EC", crv="P-256"), tmp_path / "key"
        monkeypatch.setenv("KEY_PASSWORD", "wrong")
        for password, said in (
            (b"right", "The password is wrong, or the PEM is damaged."),
            (None, "not of a private key, or not encrypted: omit --password-variable."),
        ):
            file.write_bytes(_pem_of(key, password))
            with pytest.raises(CommandError) as refused:
                run("import_signing_key", str(file), "--password-variable", "KEY_PASSWORD")
            assert str(refused.value).startswith(f"'{file}': ")
            assert str(refused.value).endswith(said)

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ([], "either one file"),
            (["x", "--from-oidc-setting"], "either one file"),
            (["/no/such/file"], r"^Cannot read '/no/such/file': No such file or directory\.$"),
            (["/no/such/file", "--algorithm", "ES256"], "No such file"),
        ],
    )
    def test_bad_input(self, arguments, expected, db):
        with pytest.raises(CommandError, match=expected):
            run("import_signing_key", *arguments)

    def test_setting_that_is_empty_is_named(self, db, settings):
        for value in ("", None):
            settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_RSA_PRIVATE_KEY": value}
            with pytest.raises(CommandError, match=r'OIDC_RSA_PRIVATE_KEY"\] is not set'):
                run("import_signing_key", "--from-oidc-setting")

    @pytest.mark.parametrize(
        ("operations", "taken"), [(["verify"], False), (["sign"], True), (["sign", "verify"], True)]
    )
    def test_key_that_is_to_verify_only(self, operations, taken, db, tmp_path):
        jwk = JWK.generate(kty="RSA", size=2048)
        (tmp_path / "key").write_text(json.dumps({**jwk.export_private(as_dict=True), "key_ops": operations}))
        if taken:
            assert jwk.thumbprint() in run("import_signing_key", str(tmp_path / "key"), "--dry-run")
            return
        with pytest.raises(CommandError, match='"key_ops" lacks "sign"'):
            run("import_signing_key", str(tmp_path / "key"))

    def test_policy_that_check_refuses(self, db, pem, tmp_path, settings):
        settings.AT_JWT = {**settings.AT_JWT, "PROPAGATION_TIME": 60}
        (tmp_path / "key.pem").write_bytes(pem)
        with pytest.raises(CommandError, match="The propagation time is 0:01:00"):
            run("import_signing_key", str(tmp_path / "key.pem"))

    def test_algorithm_that_is_not_in_use(self, db, pem, tmp_path):
        (tmp_path / "key.pem").write_bytes(pem)
        with pytest.raises(CommandError, match="SIGNING_ALGORITHMS"):
            run("import_signing_key", str(tmp_path / "key.pem"), "--algorithm", "PS256")
