"""The page on tokens without rows: its setting, and its tables."""

from __future__ import annotations

import pytest
from oauth2_provider.models import get_access_token_model

from django_at_jwt.core.token_id import TokenId
from tests.conftest import decoded

from .blocks import WITHOUT_ROWS, blocks_of, table_rows

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]

[CHOICE] = [block.text for block in blocks_of(WITHOUT_ROWS) if block.language == "python"]


def has_row(token):
    return TokenId.parse(decoded(token)[1]["jti"]).has_row


def test_example_and_the_other_values(settings, service, web, user):
    def rows():
        own = service.token("client_credentials").json()["access_token"]
        return has_row(own), has_row(web.code_flow(user).json()["access_token"])

    said = [row[0].split()[0].strip("`") for row in table_rows(WITHOUT_ROWS, columns=2)][:3]
    assert said == ["True", '"users"', "False"]
    assert rows() == (True, True)
    at_jwt = {**settings.AT_JWT}
    exec(CHOICE, {"AT_JWT": at_jwt})
    settings.AT_JWT = at_jwt
    assert rows() == (False, True)
    settings.AT_JWT = {**at_jwt, "STORE_ACCESS_TOKENS": False}
    before = get_access_token_model().objects.count()
    assert rows() == (False, False)
    # That of the user's authorization.
    assert get_access_token_model().objects.count() == before + 1
    assert get_access_token_model().objects.latest("pk").token == ""
