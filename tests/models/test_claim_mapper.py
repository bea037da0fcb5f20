"""Claim mappers in the database: validation, export and import."""

from __future__ import annotations

import json

import pytest
from django.core import serializers
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.utils import translation

from django_at_jwt.authorization_server.claims.registry import claim_mappers
from django_at_jwt.claims import ValueType, register_claim_source
from django_at_jwt.core.claims import FailureReason
from django_at_jwt.models import ClaimMapper
from django_at_jwt.models.claim_mapper import RULE_MEMBERS

pytestmark = pytest.mark.django_db
EMAIL = {"kind": "user", "path": "email"}


@register_claim_source("tests.tenant", type="integer", label="Tenant", is_personal=False)
def tenant(context):
    return 7


def mapper(**fields):
    return ClaimMapper(**{"name": "mail", "claim": "email", "source": EMAIL, **fields})


def test_good_one_is_saved_and_applied():
    row = mapper(
        conditions={"scopes": ["email"]}, transforms=[{"kind": "lower"}], note="Asked for by the reports team."
    )
    row.full_clean()
    row.save()
    [compiled] = claim_mappers.current()
    assert compiled.rule == row.rule
    assert compiled.broken is None


@pytest.mark.parametrize(
    ("fields", "where", "says"),
    [
        ({"claim": "sub"}, "claim", "is a protocol claim"),
        ({"claim": "AUD.x"}, "claim", "is a protocol claim"),
        ({"source": {"kind": "user", "path": "password"}}, "source", "MAPPABLE_USER_FIELDS"),
        ({"source": {"kind": "template", "text": "{user:email} {user:password}"}}, "source", "MAPPABLE_USER_FIELDS"),
        ({"source": {"kind": "template", "text": "{client:client_secret}"}}, "source", "MAPPABLE_CLIENT_FIELDS"),
        ({"source": {"kind": "registered", "name": "nothing"}}, "source", "tests.tenant"),
        ({"source": {"kind": "registered", "name": "tests.tenant"}}, "type", "returns “integer”"),
        ({"source": [EMAIL]}, "source", "“kind” must be one of"),
        ({"transforms": [{"kind": "upper"}]}, "transforms", "“kind” must be one of"),
        ({"conditions": {"scope": ["email"]}}, "conditions", "Use scopes"),
        ({"when_missing": "default", "default": 5}, "default", "is not of type"),
        ({"type": "text"}, "type", ""),
    ],
)
def test_invalid_rule_is_refused_with_the_remedy(fields, where, says):
    with pytest.raises(ValidationError) as refused:
        mapper(**fields).full_clean()
    assert says in " ".join(refused.value.message_dict[where])


def test_registered_source_of_the_right_type():
    mapper(source={"kind": "registered", "name": "tests.tenant"}, type=ValueType.INTEGER).full_clean()
    mapper(source={"kind": "registered", "name": "tests.tenant"}, type=ValueType.NUMBER).full_clean()
    cast = [{"kind": "cast", "to": "string"}]
    mapper(source={"kind": "registered", "name": "tests.tenant"}, transforms=cast).full_clean()


def test_message_is_translated(monkeypatch):
    monkeypatch.setattr("django_at_jwt.models.claim_mapper.gettext", lambda text: f"auf Deutsch: {text}")
    with translation.override("de"), pytest.raises(ValidationError) as refused:
        mapper(claim="sub").full_clean()
    assert refused.value.message_dict["claim"][0].startswith("auf Deutsch: “sub”")


def test_name_that_the_settings_declare(settings):
    settings.AT_JWT = {**settings.AT_JWT, "CLAIM_MAPPERS": [{"name": "mail", "claim": "mail", "source": EMAIL}]}
    with pytest.raises(ValidationError, match="declared"):
        mapper().full_clean()


def test_settings_win_over_a_row_of_the_same_name(settings):
    mapper().save()
    mapper(name="other", claim="other").save()
    settings.AT_JWT = {**settings.AT_JWT, "CLAIM_MAPPERS": [{"name": "mail", "claim": "declared", "source": EMAIL}]}
    assert {each.rule.key: each.rule.claim for each in claim_mappers.current()} == {
        "mail": "declared",
        "other": "other",
    }


def test_row_that_was_changed_behind_the_forms_back(caplog):
    mapper(required=True, conditions={"clients": ["web"]}).save()
    ClaimMapper.objects.update(claim="sub")
    claim_mappers.clear()
    [compiled] = claim_mappers.current()
    assert compiled.broken.reason is FailureReason.UNUSABLE_RULE
    assert compiled.rule.required
    assert compiled.rule.conditions.clients == ("web",)
    assert "'mail' is invalid" in caplog.text
    ClaimMapper.objects.update(conditions=["nonsense"])
    claim_mappers.clear()
    assert next(iter(claim_mappers.current())).rule.conditions.parts() == ()


def test_field_that_is_no_longer_listed(settings, caplog):
    mapper().save()
    settings.AT_JWT = {**settings.AT_JWT, "MAPPABLE_USER_FIELDS": ["first_name"]}
    assert next(iter(claim_mappers.current())).broken is not None
    assert "MAPPABLE_USER_FIELDS" in caplog.text


def test_change_takes_effect_in_this_process_at_once():
    assert len(claim_mappers.current()) == 0
    row = mapper()
    row.save()
    assert len(claim_mappers.current()) == 1
    row.delete()
    assert len(claim_mappers.current()) == 0


def test_no_statement_while_the_mappers_are_young(django_assert_num_queries):
    claim_mappers.current()
    with django_assert_num_queries(0):
        claim_mappers.current()


def test_export_can_be_read_by_people_and_comes_back(capsys, tmp_path):
    mapper(conditions={"scopes": ["email"]}, order=3).save()
    call_command("dumpdata", "django_at_jwt.claimmapper", natural_primary=True, indent=2)
    exported = capsys.readouterr().out
    [entry] = json.loads(exported)
    assert "pk" not in entry
    assert entry["fields"]["source"] == EMAIL
    assert set(RULE_MEMBERS) < set(entry["fields"])
    ClaimMapper.objects.update(order=9)
    fixture = tmp_path / "mappers.json"
    fixture.write_text(exported)
    call_command("loaddata", str(fixture), verbosity=0)
    assert ClaimMapper.objects.get().order == 3
    # The same mapper, declared in the settings.
    assert json.loads(serializers.serialize("json", ClaimMapper.objects.all(), use_natural_primary_keys=True)) == [
        entry
    ]


class TestRegistering:
    def test_same_function_again_is_fine(self):
        register_claim_source("tests.tenant", tenant, type="integer")

    def test_another_function_of_the_same_name(self):
        with pytest.raises(ValueError, match=r"tests\.tenant"):
            register_claim_source("tests.tenant", lambda context: 8)

    @pytest.mark.parametrize(("name", "value_type"), [("", "string"), ("x", "text")])
    def test_nonsense(self, name, value_type):
        with pytest.raises(ValueError):
            register_claim_source(name, lambda context: None, type=value_type)
