"""The facts and blocks of the guide on users."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from django_at_jwt.core.profile import parse_claims
from django_at_jwt.core.subjects import UserMode
from django_at_jwt.resource_server.users import provisioning as first_sight
from django_at_jwt.resource_server.users.lookup import UserOptions
from django_at_jwt.resource_server.users.resolution import user_options

from .blocks import PROTECT, blocks_of, table_rows

CLAIMS = {"iss": "https://a", "sub": "1", "aud": "x", "client_id": "c", "iat": 1, "exp": 2, "jti": "j"}


def test_modes_are_all_there(settings):
    rows = [row[0] for row in table_rows(PROTECT, columns=3) if row[1].startswith(("a ", "the "))]
    assert rows[:-1] == [f"`{mode}`" for mode in UserMode]
    assert user_options(settings.ISSUER).mode == "local"


@pytest.mark.django_db
def test_function_that_fills_a_user(monkeypatch):
    [block] = [block for block in blocks_of(PROTECT) if block.language == "python" and "people.py" in block.file]
    names = {}
    exec(block.text, names)
    monkeypatch.setattr(first_sight, "import_string", {"the page's": names["fill"]}.__getitem__)
    options = UserOptions(mode=UserMode.CREATED, fill="the page's")

    def made(**claims):
        return first_sight.user_at_first_sight(parse_claims(CLAIMS | claims), options)

    ann = made(preferred_username="ann", given_name="Ann", email="ann@example.com", email_verified=True)
    assert (ann.username, ann.first_name, ann.email) == ("ann", "Ann", "ann@example.com")
    other = made(sub="2", preferred_username="Ann", email="ann@example.com")
    assert other.username.startswith("Ann-")
    assert (other.first_name, other.email) == ("", "")
    assert made(sub="3").username.startswith("user-")
    assert get_user_model().objects.count() == 3
