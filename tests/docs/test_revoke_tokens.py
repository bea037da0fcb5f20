"""The commands and blocks of the page about revoking tokens."""

from __future__ import annotations

import re
import shlex

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.management import load_command_class
from django.urls import path

from django_at_jwt import revocation
from tests.authorization_server.revocation.grants import entries, granted
from tests.commands import run

from .blocks import REVOKE_TOKENS, blocks_of, table_rows

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]


def block(language, file=None):
    return next(
        each for each in blocks_of(REVOKE_TOKENS) if each.language == language and (file is None or each.file == file)
    )


@pytest.fixture
def tokens(web, user, signing_keys):
    return granted(web, web.code_flow(user))


def test_command(tokens, web, user):
    web.authorize(user)
    get = granted(web, web.code_flow(user))
    [line] = block("console").commands
    _python, _manage, name, *arguments = shlex.split(line)
    said = re.sub(r"\d+ (\w[a-z ]*?)s?(?=[,)])", r"N \1", run(name, *arguments))
    assert said == re.sub(r"\d+ (\w[a-z ]*?)s?(?=[,)])", r"N \1", block("text").text)
    assert get.is_live()


def test_options_and_functions():
    rows = [row for row in table_rows(REVOKE_TOKENS, columns=4) if row[2].startswith("`--")]
    actions = load_command_class("django_at_jwt", "revoke_tokens").create_parser("manage.py", "revoke_tokens")
    [group] = actions._mutually_exclusive_groups
    options = {action.option_strings[0] for action in group._group_actions}
    assert {row[2].strip("`").split()[0] for row in rows} == options
    functions = {name for name in revocation.__all__ if name.startswith("revoke_")}
    assert {row[3].strip("`").partition("(")[0] for row in rows} == functions


def test_code_revokes_after_an_update(tokens, user):
    scope = {}
    exec(block("python", "mysite/dismissals.py").text, scope)
    scope["dismiss"]([user.get_username()])
    assert not get_user_model().objects.get(pk=user.pk).is_active
    assert entries() == [("authorization", tokens.authorization.identifier)]


def test_action_on_the_list_of_users(tokens, user, admin_client, settings):
    model = get_user_model()
    former = type(admin.site.get_model_admin(model))
    exec(block("python", "mysite/admin.py").text, {})
    try:
        settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": [path("admin/", admin.site.urls)]})
        action = {"action": "log_out_everywhere", "_selected_action": [user.pk]}
        address = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert "Live authorizations" in admin_client.post(address, action).content.decode()
        assert admin_client.post(address, {**action, "_revoke": "Revoke"}).status_code == 302
        assert not tokens.is_live()
    finally:
        admin.site.unregister(model)
        admin.site.register(model, former)
