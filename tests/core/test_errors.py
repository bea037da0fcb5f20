"""Messages of the core."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import pytest

from django_at_jwt import core
from django_at_jwt.core.claims import ClaimsRefused, compile_rules
from django_at_jwt.core.claims.schema import parse_rule
from django_at_jwt.core.errors import RejectionReason, TokenRejected

MODULES = sorted(Path(core.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_core_names_no_setting_and_no_command(path):
    assert not re.findall(r"manage\.py|\bAT_JWT\W?\[|OAUTH2_PROVIDER|SECRET_KEY", path.read_text())


def test_a_hash_without_its_key():
    rule = parse_rule(
        {
            "name": "tenant",
            "claim": "tenant",
            "source": {"kind": "user", "path": "tenant"},
            "transforms": [{"kind": "hash", "key_name": "x"}],
        }
    )
    [mapper] = compile_rules([rule])
    assert mapper.broken.detail == "transforms: There is no key “x”."


COPIED = pytest.mark.parametrize(
    "copied", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"]
)


@COPIED
def test_a_rejection_can_be_sent_to_another_process(copied):
    error = copied(TokenRejected(RejectionReason.EXPIRED, "too late"))
    assert (error.reason, error.detail, str(error)) == (RejectionReason.EXPIRED, "too late", "expired: too late")


@COPIED
def test_a_refusal_of_claims_can_be_sent_to_another_process(copied):
    refused = ClaimsRefused("too large", trace=[1, 2])
    assert vars(copied(refused)) == vars(refused)
