"""The page on single-page apps and devices: its commands, and its settings for requests of other origins."""

from __future__ import annotations

import shlex
from itertools import pairwise

import pytest
from django.core.management import call_command
from django.test import Client

from tests.conftest import DEVICE_CODE_GRANT

from .blocks import BROWSER_APPS_AND_DEVICES, blocks_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]

BLOCKS = tuple(blocks_of(BROWSER_APPS_AND_DEVICES))
COMMANDS = [
    shlex.split(command.replace("\\\n", ""))
    for block in BLOCKS
    if block.language == "console"
    for command in block.commands
]


def create_clients():
    for command in COMMANDS:
        if command[2:3] == ["createapplication"]:
            call_command(*command[2:])


def test_origins(settings):
    values = {"AT_JWT": {**settings.AT_JWT}}
    for block in BLOCKS:
        if block.language == "python":
            exec(block.text, values)
    for name, value in values.items():
        if name.isupper():
            setattr(settings, name, value)
    create_clients()
    form = {"grant_type": "authorization_code", "client_id": "shop", "code": "made-up"}
    answer = Client().post("/o/token/", form, headers={"Origin": "https://app.example.com"})
    assert answer.json()["error"] == "invalid_grant"
    assert answer["Access-Control-Allow-Origin"] == "https://app.example.com"


def test_device():
    create_clients()
    [curl] = [command for command in COMMANDS if command[0] == "curl"]
    body = "&".join(value for option, value in pairwise(curl) if option == "--data")
    form = {"content_type": "application/x-www-form-urlencoded"}
    answer = Client().post("/o/device-authorization/", body, **form)
    started = answer.json()
    assert started["verification_uri"] == "https://as.example.com/o/device/"
    polled = {"grant_type": DEVICE_CODE_GRANT, "client_id": "tv", "device_code": started["device_code"]}
    assert Client().post("/o/token/", polled).json() == {"error": "authorization_pending"}
