from __future__ import annotations

import base64
import copy
import json
import pickle
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwcrypto.jwk import JWK

from django_at_jwt.core.errors import UnacceptableKey
from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.jose.keys import PRIVATE_MEMBERS, PrivateKey, PublicKey, public_members
from tests.core.signing_keys import signing_key
from tests.core.token_factory import (
    ABSENT,
    ALL_ALGORITHMS,
    EVERY_KIND,
    TokenFactory,
    b64url,
    coordinate_bytes,
    kind_of,
    private_key,
    private_members,
    thumbprint,
)

P25519 = 2**255 - 19


def number(value: int) -> str:
    return b64url(value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def changed(jwk, **changes):
    return {member: value for member, value in {**jwk, **changes}.items() if value is not ABSENT}


def refuse(jwk, **options) -> str:
    with pytest.raises(UnacceptableKey) as refused:
        PublicKey.from_jwk(jwk, **options)
    message = str(refused.value)
    # The message does not quote the key: it ends up in logs and on pages.
    long_values = [value for value in jwk.values() if isinstance(value, str) and len(value) > 12]
    assert not any(value[:12] in message for value in long_values)
    return message


def test_the_allow_list_is_the_asymmetric_algorithms():
    post_quantum = {"ML-DSA-44", "ML-DSA-65"}
    assert tuple(name for name in ALGORITHMS if name not in post_quantum) == ALL_ALGORITHMS
    assert {"none", "HS256", "HS384", "HS512"}.isdisjoint(ALGORITHMS)
    assert ALGORITHMS.keys().isdisjoint({"RSA1_5", "ES256K", "Ed448", ""})


@pytest.mark.compliance("9068-2", "8725-5")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_generated_key_is_acceptable_and_private(algorithm):
    generated = ALGORITHMS[algorithm].generate_key()
    assert generated.has_private
    key = PrivateKey.from_jwk(generated, algorithm=algorithm)
    assert key.algorithm is ALGORITHMS[algorithm]
    assert key.public_key.verifies(b"data", key.sign(b"data"))
    assert not key.public_key.verifies(b"other data", key.sign(b"data"))
    assert key.kid == generated.thumbprint()


def test_no_generated_kid_is_taken_for_an_option_of_a_command():
    # One thumbprint in 64 begins with a hyphen.
    assert not any(ALGORITHMS["EdDSA"].generate_key().thumbprint().startswith("-") for _ in range(1000))


@pytest.mark.compliance("7638-1", "7517-1")
@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
def test_the_public_jwk_has_what_is_published_and_its_thumbprint_for_kid(algorithm):
    factory = TokenFactory(algorithm)
    private = private_members(factory.key)
    key = PublicKey.from_jwk({**private, "oth": [], "k": "AAAA"}, algorithm=algorithm)
    assert key.kid == thumbprint(factory.members)
    assert key.public_jwk == {**factory.members, "use": "sig", "alg": algorithm, "kid": key.kid}
    assert PRIVATE_MEMBERS.isdisjoint(key.public_jwk)
    assert {private[member] for member in PRIVATE_MEMBERS & private.keys()}.isdisjoint(key.public_jwk.values())
    assert public_members(JWK(**private)) == factory.members
    assert signing_key(algorithm).public_key == key


def test_the_thumbprint_is_that_of_the_rfc():
    # The example of RFC 7638 section 3.1.
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
        "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
        "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
        "nqDKgw"
    )
    jwk = {"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256"}
    assert PublicKey.from_jwk(jwk).kid == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert thumbprint({"kty": "RSA", "n": modulus, "e": "AQAB"}) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_a_given_kid_is_kept():
    jwk = changed(TokenFactory("EdDSA").jwk, kid="2024-01")
    assert PublicKey.from_jwk(jwk).kid == "2024-01"
    assert PublicKey.from_jwk(jwk, kid="another").public_jwk["kid"] == "another"
    assert "string" in refuse(changed(jwk, kid=7))


@pytest.mark.compliance("7515-1")
@pytest.mark.parametrize("algorithm", [name for name in ALL_ALGORITHMS if kind_of(name) != "RSA"])
def test_a_signature_has_one_length(algorithm):
    factory = TokenFactory(algorithm)
    key, signature = PublicKey.from_jwk(factory.jwk), factory.sign(b"data")
    assert key.verifies(b"data", signature)
    for wrong in (b"", signature[:-1], signature + b"\0", b"\0" + signature, signature[:-2], signature * 2):
        assert key.verifies(b"data", wrong) is False


# Keys that must not be imported (RFC 8725 section 3.5)


@cache
def roca_modulus() -> int:
    """Multiply two numbers of the form of the flawed library's primes: k M + (65537^a mod M).

    M is the product of the first 126 primes, as for keys of 2048 bits. The factors need not be prime here: what the
    fingerprint looks at, and the structure that makes such a key breakable, is in the form alone.
    """
    primorial, found, candidate = 1, 0, 2
    while found < 126:
        if all(candidate % divisor for divisor in range(2, candidate)):
            primorial *= candidate
            found += 1
        candidate += 1
    p, q = (
        (2**1024 - 1) // primorial * primorial - step * primorial + pow(65537, exponent, primorial)
        for step, exponent in ((2, 123_456_789), (5, 987_654_321))
    )
    return p * q


@cache
def public_numbers(bits: int, exponent: int = 65537) -> rsa.RSAPublicNumbers:
    return rsa.generate_private_key(public_exponent=exponent, key_size=bits).public_key().public_numbers()


def rsa_jwk(n: int, e: int = 65537):
    return {"kty": "RSA", "alg": "RS256", "n": number(n), "e": number(e)}


@pytest.mark.compliance("8725-5")
def test_weak_rsa_keys_are_refused():
    n = private_key("RSA").public_key().public_numbers().n
    assert "1024" in refuse(rsa_jwk(public_numbers(1024).n))
    assert "2047" in refuse(rsa_jwk(n >> 1 | 1))
    assert "8193" in refuse(rsa_jwk(2**8192 + 1))
    assert PublicKey.from_jwk(rsa_jwk(2**8191 + 1)).signature_bytes == 1024
    assert "exponent" in refuse(rsa_jwk(public_numbers(2048, 3).n, 3))
    for exponent in (0, 1, 2, 3, 5, 17, 257, 65535, 65536, 65538, 2**32, n - 1, n, n + 2):
        refuse(rsa_jwk(n, exponent))
    assert "64 bits (got 65)" in refuse(rsa_jwk(n, 2**64 + 1))
    assert "64 bits (got 2047)" in refuse(rsa_jwk(n, 2**2046 + 1))
    assert PublicKey.from_jwk(rsa_jwk(n, 2**64 - 1)).kid
    assert PublicKey.from_jwk(rsa_jwk(n)).kid


@pytest.mark.parametrize(("bits", "signature_bytes"), [(2048, 256), (2049, 257), (2055, 257), (2056, 257), (2057, 258)])
def test_an_rsa_signature_is_as_long_as_the_modulus(bits, signature_bytes):
    assert PublicKey.from_jwk(rsa_jwk(2 ** (bits - 1) + 1)).signature_bytes == signature_bytes


@pytest.mark.compliance("8725-5")
def test_a_modulus_of_the_roca_library_is_refused():
    n = roca_modulus()
    assert n.bit_length() == 2048
    assert "ROCA" in refuse(rsa_jwk(n))
    # One marker that does not match means another library: this changes it modulo 11 only.
    others = 13 * 17 * 19 * 37 * 53 * 61 * 71 * 73 * 79 * 97 * 103 * 107 * 109 * 127 * 151 * 157
    step = next(step for step in range(0, 22, 2) if (n + step * others) % 11 == 0)
    assert PublicKey.from_jwk(rsa_jwk(n + step * others)).kid


SMALL_ORDER_Y = (
    0,
    1,
    P25519 - 1,
    2707385501144840649318225287225658788936804267575313519463743609750303402022,
    P25519 - 2707385501144840649318225287225658788936804267575313519463743609750303402022,
    # The same as 0 and 1, not reduced.
    P25519,
    P25519 + 1,
)


def ed25519_jwk(encoded: bytes):
    return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": b64url(encoded)}


@pytest.mark.compliance("8725-4", "8725-5")
@pytest.mark.parametrize("sign_bit", [0, 1])
@pytest.mark.parametrize("y", SMALL_ORDER_Y)
def test_ed25519_points_of_small_order_are_refused(y, sign_bit):
    assert "small order" in refuse(ed25519_jwk((y | sign_bit << 255).to_bytes(32, "little")))


@pytest.mark.compliance("8725-4")
@pytest.mark.parametrize("y", [P25519 + 2, P25519 + 3, P25519 + 18])
def test_an_ed25519_point_has_one_encoding(y):
    assert "canonical" in refuse(ed25519_jwk(y.to_bytes(32, "little")))


def test_the_points_of_small_order_are_those():
    # Recomputed from the curve: the order of a point divides 8 exactly when doubling it three times gives (0, 1).
    d = -121665 * pow(121666, -1, P25519) % P25519

    def x_squared(y):
        return (y * y - 1) * pow(d * y * y + 1, -1, P25519) % P25519

    def doubled(point):
        x, y = point
        scale = d * x * x * y * y % P25519
        return (
            2 * x * y * pow(1 + scale, -1, P25519) % P25519,
            (y * y + x * x) * pow(1 - scale, -1, P25519) % P25519,
        )

    for y in SMALL_ORDER_Y[:5]:
        squared = x_squared(y)
        root = pow(squared, (P25519 + 3) // 8, P25519)
        if root * root % P25519 != squared:
            root = root * pow(2, (P25519 - 1) // 4, P25519) % P25519
        assert root * root % P25519 == squared
        assert doubled(doubled(doubled((root, y)))) == (0, 1)


def test_why_they_are_refused():
    # With the neutral element as public key, one signature is valid for any message.
    neutral = ed25519.Ed25519PublicKey.from_public_bytes((1).to_bytes(32, "little"))
    for message in (b"one", b"another"):
        neutral.verify((1).to_bytes(32, "little") + bytes(32), message)


def flip_last_byte(member: str) -> str:
    data = bytearray(base64.urlsafe_b64decode(member + "=" * (-len(member) % 4)))
    data[-1] ^= 1
    return b64url(bytes(data))


@pytest.mark.compliance("8725-4")
@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512"])
def test_points_off_the_curve_are_refused(algorithm):
    jwk = TokenFactory(algorithm).jwk
    zero = b64url(bytes(coordinate_bytes(jwk["crv"])))
    for changes in (
        {"y": flip_last_byte(jwk["y"])},
        {"x": flip_last_byte(jwk["x"])},
        {"x": jwk["y"], "y": jwk["x"]},
        {"y": jwk["x"]},
        {"x": zero, "y": zero},
        {"x": "", "y": ""},
        {"x": jwk["x"] + "AAAA"},
        {"x": b64url(b"\xff" * coordinate_bytes(jwk["crv"]))},
    ):
        refuse(changed(jwk, **changes))


@pytest.mark.compliance("8725-1")
@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
def test_key_and_algorithm_must_go_together(algorithm):
    jwk = TokenFactory(algorithm).jwk
    for other in ALL_ALGORITHMS:
        assert PublicKey.from_jwk(jwk, algorithm=algorithm).algorithm.name == algorithm
        if other != algorithm:
            assert other in refuse(jwk, algorithm=other)
        if kind_of(other) != kind_of(algorithm):
            kind = kind_of(other)
            wanted = {"RSA": "RSA", "Ed25519": "OKP Ed25519"}.get(kind, f"EC {kind}")
            assert refuse(changed(jwk, alg=other)) == f"{other} needs a key of type {wanted}"
            assert "needs a key of type" in refuse(changed(jwk, alg=ABSENT), algorithm=other)


@pytest.mark.compliance("8725-1")
@pytest.mark.parametrize("algorithm", EVERY_KIND)
@pytest.mark.parametrize(
    "name",
    ["none", "None", "", "HS256", "HS512", "RSA-OAEP", "ES256K", "Ed448", "rs256", "RS256 ", None, 256, ["RS256"], {}],
)
def test_an_algorithm_that_is_not_allowed_is_refused(algorithm, name):
    assert "not one of RS256" in refuse(changed(TokenFactory(algorithm).jwk, alg=name))


@pytest.mark.compliance("8725-1")
def test_a_key_without_an_algorithm_is_refused_unless_one_is_given():
    bare = TokenFactory("RS256").members
    refuse(bare)
    refuse(bare, algorithm="HS256")
    assert PublicKey.from_jwk(bare, algorithm="PS512").public_jwk["alg"] == "PS512"


@pytest.mark.compliance("8725-1")
@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "EdDSA", None])
def test_a_shared_secret_is_refused(algorithm):
    refuse({"kty": "oct", "k": b64url(b"a shared secret of 32 bytes, yes"), "alg": "HS256"}, algorithm=algorithm)
    refuse({"kty": "oct", "k": b64url(b"a shared secret of 32 bytes, yes")}, algorithm=algorithm)


@pytest.mark.compliance("8725-5")
@pytest.mark.parametrize("algorithm", EVERY_KIND)
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"use": "enc"}, "use"),
        ({"use": "SIG"}, "use"),
        ({"use": ""}, "use"),
        ({"use": None}, "use"),
        ({"use": ["sig"]}, "use"),
        ({"key_ops": []}, "key_ops"),
        ({"key_ops": ["encrypt", "wrapKey"]}, "key_ops"),
        ({"key_ops": "verify"}, "key_ops"),
        ({"key_ops": {"verify": True}}, "key_ops"),
        ({"key_ops": [["verify"]]}, "key_ops"),
        ({"key_ops": [None, {}, 1]}, "key_ops"),
        ({"kty": "oct"}, "type"),
        ({"kty": None}, "type"),
        ({"kty": ABSENT}, "type"),
        ({"kty": ["RSA"]}, "type"),
        ({"crv": "secp256k1"}, "type"),
        ({"crv": "X25519"}, "type"),
        ({"crv": ["P-256"]}, "type"),
    ],
)
def test_a_key_for_something_else_is_refused(algorithm, changes, said):
    assert said in refuse(changed(TokenFactory(algorithm).jwk, **changes))


@pytest.mark.parametrize("operations", [["verify"], ["sign"], ["sign", "verify"], None])
def test_a_key_for_signatures_is_accepted(operations):
    for algorithm in EVERY_KIND:
        assert PublicKey.from_jwk(changed(TokenFactory(algorithm).jwk, key_ops=operations)).kid


@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
@pytest.mark.parametrize(
    "value",
    [ABSENT, None, "", "=", "A", "é", "\u4e2d", "\ud800", 7, 1.5, True, b"AQAB", [], ["AQAB"], {}],
    ids=lambda value: "absent" if value is ABSENT else ascii(value),
)
def test_members_that_are_missing_or_no_text_are_refused(algorithm, value):
    jwk = TokenFactory(algorithm).jwk
    for member in TokenFactory(algorithm).members.keys() - {"kty", "crv"}:
        refuse(changed(jwk, **{member: value}))


NUMBERS = [("RS256", "n"), ("RS256", "e"), ("ES256", "x"), ("ES256", "y"), ("EdDSA", "x")]
NOT_BASE64URL = {
    "padded": lambda value: value + "=" * (-len(value) % 4),
    "padded once": lambda value: f"{value}=",
    "padded twice": lambda value: f"{value}==",
    "after a space": lambda value: f" {value}",
    "before a newline": lambda value: f"{value}\n",
    "with another character": lambda value: f"{value[:2]}!{value[2:]}",
    "in the alphabet of base64": lambda value: f"+/{value[2:]}",
}


@pytest.mark.compliance("7517-1")
@pytest.mark.parametrize(("algorithm", "member"), NUMBERS)
@pytest.mark.parametrize("respell", NOT_BASE64URL.values(), ids=NOT_BASE64URL)
def test_a_member_that_is_not_base64url_without_padding_is_refused(algorithm, member, respell):
    jwk = TokenFactory(algorithm).jwk
    respelled = respell(jwk[member])
    if respelled != jwk[member]:
        assert f'"{member}" is not base64url' in refuse({**jwk, member: respelled})


@pytest.mark.compliance("7638-1", "7517-1")
@pytest.mark.parametrize(("algorithm", "member"), NUMBERS[:-1])
@pytest.mark.parametrize("zeros", [1, 2, 3])
def test_zero_bytes_in_front_of_a_number_do_not_change_the_key(algorithm, member, zeros):
    # Otherwise one key would be published under two names.
    jwk = changed(TokenFactory(algorithm).jwk, kid=ABSENT)
    data = base64.urlsafe_b64decode(jwk[member] + "=" * (-len(jwk[member]) % 4))
    key = PublicKey.from_jwk({**jwk, member: b64url(bytes(zeros) + data)})
    assert key.public_jwk == TokenFactory(algorithm).jwk
    assert key.kid == thumbprint(TokenFactory(algorithm).members)


@pytest.mark.compliance("7517-1")
def test_an_ed25519_key_has_32_bytes():
    jwk = TokenFactory("EdDSA").jwk
    refuse({**jwk, "x": f"AAAA{jwk['x']}"})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    algorithm=st.sampled_from(ALL_ALGORITHMS),
    changes=st.dictionaries(
        st.sampled_from(["kty", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "kid", "d"]),
        JSON_VALUES | st.binary(max_size=80).map(b64url),
        min_size=1,
        max_size=3,
    ),
)
def test_nothing_but_a_refusal_comes_of_a_strange_jwk(algorithm, changes):
    try:
        key = PublicKey.from_jwk(changed(TokenFactory(algorithm).jwk, **changes))
    except UnacceptableKey:
        return
    assert key.algorithm.name in ALGORITHMS
    assert PRIVATE_MEMBERS.isdisjoint(key.public_jwk)
    assert key.verifies(b"data", b"no signature") is False


# Private keys


def test_a_signing_key_needs_a_private_half():
    public = JWK(**TokenFactory("ES256").members)
    with pytest.raises(UnacceptableKey, match="private"):
        PrivateKey.from_jwk(public, algorithm="ES256")


def test_a_private_key_is_refused_as_its_public_half_is():
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for jwk, algorithm in (
        (JWK(**private_members(weak)), "RS256"),
        (JWK(**private_members(private_key("RSA"))), "ES256"),
        (JWK(**private_members(private_key("P-256"))), "ES384"),
        (JWK(**private_members(private_key("Ed25519"))), "none"),
        (JWK(**private_members(private_key("Ed25519")), use="enc"), "EdDSA"),
    ):
        with pytest.raises(UnacceptableKey):
            PrivateKey.from_jwk(jwk, algorithm=algorithm)


def test_primes_of_an_rsa_key_are_tested_unless_they_were_before():
    # The modulus has to have all its bits, and the product of a prime and another key's modulus may be a bit short.
    p = q1 = q2 = 1
    while (p * q1 * q2).bit_length() != 2048:
        one, two = (rsa.generate_private_key(65537, size).private_numbers() for size in (2048, 1024))
        p, q1, q2 = one.p, two.p, two.q
    # RSA works with three primes, so a signature does not show that q is a product.
    q, d = q1 * q2, pow(65537, -1, (p - 1) * (q1 - 1) * (q2 - 1))
    numbers = {
        "n": p * q,
        "e": 65537,
        "d": d,
        "p": p,
        "q": q,
        "dp": d % (p - 1),
        "dq": d % ((q1 - 1) * (q2 - 1)),
        "qi": pow(q, -1, p),
    }
    members = {"kty": "RSA"} | {
        name: b64url(value.to_bytes(-(-value.bit_length() // 8))) for name, value in numbers.items()
    }
    with pytest.raises(UnacceptableKey, match="private half is not valid"):
        PrivateKey.from_jwk(JWK(**members), algorithm="RS256")
    PrivateKey.from_jwk(JWK(**members), algorithm="RS256", checked_before=True)


@pytest.mark.parametrize("algorithm", EVERY_KIND)
def test_a_private_half_of_another_key_is_refused(algorithm):
    factory = TokenFactory(algorithm)
    other = private_members(factory.attacker.key)
    mixed = JWK(**{**other, **factory.members})
    with pytest.raises(UnacceptableKey, match="private half is not valid, or does not belong"):
        PrivateKey.from_jwk(mixed, algorithm=algorithm)


@pytest.mark.parametrize("algorithm", EVERY_KIND)
def test_a_private_key_that_is_for_verifying_alone_is_refused(algorithm):
    members = private_members(TokenFactory(algorithm).key)
    with pytest.raises(UnacceptableKey, match="key_ops"):
        PrivateKey.from_jwk(JWK(**members, key_ops=["verify"]), algorithm=algorithm)
    assert PrivateKey.from_jwk(JWK(**members, key_ops=["sign"]), algorithm=algorithm, kid="mine").kid == "mine"


@pytest.mark.compliance("9068-19", "8725-1")
@pytest.mark.parametrize("algorithm", ["HS256", "RS256"])
def test_a_shared_secret_cannot_sign(algorithm):
    with pytest.raises(UnacceptableKey):
        PrivateKey.from_jwk(JWK.generate(kty="oct", size=256), algorithm=algorithm)


@pytest.mark.parametrize("algorithm", EVERY_KIND)
def test_a_signing_key_does_not_leave_the_process(algorithm):
    key = signing_key(algorithm)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(key, protocol)
        with pytest.raises(TypeError):
            pickle.dumps({"cached": [key]}, protocol)
    with pytest.raises(TypeError):
        copy.deepcopy(key)
    with pytest.raises(TypeError):
        json.dumps(key)


@pytest.mark.compliance("7517-1")
@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
def test_what_is_printed_of_a_key_is_public(algorithm):
    key = signing_key(algorithm)
    printed = f"{key!r} {key} {[key]} {key.public_key!r}"
    private = private_members(TokenFactory(algorithm).key)
    secrets = [private[member] for member in PRIVATE_MEMBERS & private.keys()]
    assert secrets
    for secret in secrets:
        # Neither as in the JWK nor as a number.
        assert secret not in printed
        decoded = base64.urlsafe_b64decode(secret + "==")
        assert str(int.from_bytes(decoded, "big")) not in printed
        assert decoded.hex() not in printed


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_an_rsa_signature_has_one_length(algorithm):
    # One in 256 signatures begins with a zero byte, without which the number is the same.
    key = signing_key(algorithm)
    for number in range(5000):
        data = str(number).encode()
        signature = key.sign(data)
        if signature[0] == 0:
            break
    assert signature[0] == 0
    assert key.public_key.verifies(data, signature)
    assert not key.public_key.verifies(data, signature[1:])
    assert not key.public_key.verifies(data, b"\0" + signature)
