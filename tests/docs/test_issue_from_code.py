"""The page on tokens that code of the site issues, and on the function that decides lifetimes."""

from __future__ import annotations

import sys
from inspect import signature
from types import ModuleType

import pytest

from django_at_jwt.issuance import issue_access_token
from tests.conftest import decoded

from .blocks import ISSUE_FROM_CODE, blocks_of, table_rows

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]

BLOCKS = {block.file: block.text for block in blocks_of(ISSUE_FROM_CODE) if block.language == "python"}


def written(name):
    module = ModuleType(name)
    exec(BLOCKS[f"{name.replace('.', '/')}.py"], module.__dict__)
    return module


def test_token_for_an_export(make_client, user, settings):
    client = make_client(name="Exports").application
    exports = written("mysite.exports")
    issued = exports.token_for_export(user)
    claims = decoded(issued.token)[1]
    assert (claims["client_id"], claims["sub"], claims["aud"]) == (client.client_id, str(user.pk), settings.API)
    assert (claims["scope"], claims["exp"] - claims["iat"]) == ("read", 300)
    user.is_active = False
    with pytest.raises(RuntimeError, match="no token for the export: invalid_grant"):
        exports.token_for_export(user)


def test_arguments():
    rows = [row[0].strip("`") for row in table_rows(ISSUE_FROM_CODE, columns=2)[-5:]]
    assert rows == list(signature(issue_access_token).parameters)


def test_function_for_lifetimes(service, settings, monkeypatch):
    lifetimes = written("mysite.lifetimes")
    monkeypatch.setitem(sys.modules, "mysite", ModuleType("mysite"))
    monkeypatch.setitem(sys.modules, "mysite.lifetimes", lifetimes)
    at_jwt = {**settings.AT_JWT}
    exec(BLOCKS["mysite/settings.py"], {"AT_JWT": at_jwt})
    settings.AT_JWT = at_jwt
    answers = [service.token("client_credentials", scope=scope).json() for scope in ("read", "write")]
    assert [answer["expires_in"] for answer in answers] == [3600, 300]
