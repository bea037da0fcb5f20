"""System checks of claim mappers: each is triggered and names the remedy."""

from __future__ import annotations

import pytest

from .test_checks import found

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]


def mapper(**changes):
    return {"name": "mail", "claim": "mail", "source": {"kind": "user", "path": "email"}, **changes}


class TestDeclaredMappers:
    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"source": {"kind": "user", "path": "emial"}}, "“emial” may not be mapped"),
            ({"source": {"kind": "template", "text": "{user:emial}"}}, "“emial” may not be mapped"),
            ({"source": {"kind": "registered", "name": "nothing"}}, "No source is registered as “nothing”"),
            ({"transforms": [{"kind": "hash", "key_name": "x"}]}, 'There is no key “x” in AT_JWT["CLAIM_HASH_KEYS"]'),
            ({"source": {"kind": "client", "name": "client_secret"}}, "“client_secret” may not be mapped"),
        ],
    )
    def test_that_always_fails(self, changes, says, at_jwt):
        at_jwt(CLAIM_MAPPERS=[mapper(name="fine"), mapper(**changes)])
        message = found()["django_at_jwt.E017"]
        assert "the mapper 'mail' always fails, so tokens are issued without its claim." in message.msg
        assert says in message.msg
        assert "ready()" in message.hint

    def test_unknown_member(self, at_jwt):
        at_jwt(CLAIM_MAPPERS=[mapper(claims="mail")])
        message = found()["django_at_jwt.E001"]
        assert "an invalid mapper, 'mail': claims: “claims” is not a member. Use claim." in message.msg
        assert message.hint == 'See the page "Claim mappers" of the documentation.'

    def test_that_is_required(self, at_jwt):
        at_jwt(CLAIM_MAPPERS=[mapper(source={"kind": "user", "path": "emial"}, required=True)])
        assert "no token that it applies to is issued" in found()["django_at_jwt.E017"].msg

    def test_groups_of_users_without_groups(self, at_jwt, monkeypatch):
        at_jwt(CLAIM_MAPPERS=[mapper(conditions={"groups": ["staff"]})])
        monkeypatch.setattr("django_at_jwt.models.mappable._many_to_many", lambda _name: None)
        assert "The users of this site have no groups" in found()["django_at_jwt.E017"].msg

    def test_fine(self, at_jwt):
        hashed = mapper(name="hash", transforms=[{"kind": "hash", "key_name": "x"}])
        at_jwt(CLAIM_MAPPERS=[mapper(), hashed], CLAIM_HASH_KEYS={"x": "k" * 16})
        assert found() == {}


class TestMappableFields:
    @pytest.mark.parametrize(
        ("path", "says"),
        [
            ("password", "never put into a token"),
            ("_state", "never put into a token"),
            ("profile__department__code", "never put into a token"),
            ("get_full_name", "has no field"),
            ("groups", "is not a plain value"),
            ("profile.department.head.email", "“head” leads to another user"),
        ],
    )
    def test_of_the_user(self, path, says, at_jwt):
        at_jwt(MAPPABLE_USER_FIELDS=["email", path, "profile.department.code"])
        message = found()["django_at_jwt.W016"]
        assert f"AT_JWT[\"MAPPABLE_USER_FIELDS\"] contains '{path}', which claim mappers cannot read." in message.msg
        assert says in message.msg
        assert "remove it" in message.hint
        assert ".md" not in message.hint

    def test_of_the_client(self, at_jwt):
        at_jwt(MAPPABLE_CLIENT_FIELDS=["name", "client_secret"])
        assert "AT_JWT[\"MAPPABLE_CLIENT_FIELDS\"] contains 'client_secret'" in found()["django_at_jwt.W016"].msg

    def test_default_that_is_not_a_field_of_the_user_model(self, at_jwt, monkeypatch):
        at_jwt(MAPPABLE_USER_FIELDS=["email", "first_name"])
        monkeypatch.setattr("django_at_jwt.models.mappable._SECRETS", {"first_name"})
        assert found() == {}
