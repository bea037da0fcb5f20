"""System checks of the settings that map subjects to users."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.core.checks import Error, Warning  # noqa: A004 - Django's own name
from django.core.management import call_command
from django.db import DatabaseError

from django_at_jwt.checks import user_modes as checks
from django_at_jwt.checks.user_modes import check_table_of_subjects, check_user_modes
from django_at_jwt.conf import known_issuers
from django_at_jwt.core.subjects import UserMode
from django_at_jwt.models import IssuerSubject
from django_at_jwt.resource_server.users.lookup import UserOptions
from django_at_jwt.resource_server.users.resolution import user_options

LOCAL_RULE = "django_at_jwt.resource_server.users.lookup.user_for_local_subject"


@pytest.fixture
def issuers(monkeypatch):
    def use(*modes, **options):
        configured = {f"https://{number}": UserOptions(mode=mode, **options) for number, mode in enumerate(modes)}
        monkeypatch.setattr(checks, "known_issuers", lambda: tuple(configured))
        monkeypatch.setattr(checks, "user_options", configured.__getitem__)

    return use


def test_nothing_is_wrong_with_the_defaults(settings, db):
    assert known_issuers() == (settings.ISSUER,)
    assert user_options(settings.ISSUER) == UserOptions(mode=UserMode.LOCAL, lookup=LOCAL_RULE)
    assert user_options("https://other.example.com") == UserOptions(mode=UserMode.STATELESS)
    assert check_user_modes() + check_table_of_subjects() == []


def test_project_without_an_issuer(settings):
    settings.OAUTH2_PROVIDER = {}
    assert known_issuers() == ()
    assert check_user_modes() + check_table_of_subjects() == []


def test_unreadable_settings_are_another_checks_matter(settings):
    settings.AT_JWT = {"USER_MODE": "created"}
    assert check_user_modes() + check_table_of_subjects() == []


def test_function_that_cannot_be_imported(settings):
    settings.AT_JWT = {**settings.AT_JWT, "LOCAL_SUBJECT_LOOKUP": "tests.nothing.like_it"}
    [error] = check_user_modes()
    assert isinstance(error, Error)
    assert error.id == "django_at_jwt.E021"
    assert "tests.nothing.like_it" in error.msg
    assert settings.ISSUER in error.msg


@pytest.mark.parametrize("path", ["tests.nothing", "tests.settings.ISSUER"])
def test_fill_that_is_not_a_function(path, issuers):
    issuers(UserMode.CREATED, fill=path)
    [error] = check_user_modes()
    assert path in error.msg


@pytest.mark.parametrize("field", ["first_name", "nothing", "pk", "groups"])
def test_field_that_is_not_unique(field, issuers):
    issuers(UserMode.LOCAL, field=field)
    [error] = check_user_modes()
    assert f"unique field {field!r}" in error.msg


def test_field_of_two_issuers(issuers):
    issuers(UserMode.LOCAL, UserMode.CREATED, field="username")
    [error] = check_user_modes()
    assert "Several issuers" in error.msg
    issuers(UserMode.LOCAL, UserMode.STATELESS, field="username")
    assert check_user_modes() == []


def test_app_that_is_not_installed(issuers, settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "django_at_jwt"]
    issuers(UserMode.LOCAL)
    [error] = check_user_modes()
    assert error.hint == 'Add "django_at_jwt" to INSTALLED_APPS and run: manage.py migrate'
    assert check_table_of_subjects() == []
    issuers(UserMode.STATELESS)
    assert check_user_modes() == []


NO_DATABASE = """
import sys
from django.conf import settings
from django.core.management import execute_from_command_line

settings.configure(
    SECRET_KEY="x",
    ROOT_URLCONF=__name__,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "django_at_jwt"],
    AT_JWT={"ISSUERS": {"https://as.example.com": {"audience": "https://api.example.com/", "user_mode": sys.argv[1]}}},
)
urlpatterns = []
execute_from_command_line(["manage.py", "check"])
"""


@pytest.mark.parametrize("mode", ["local", "created", "stateless"])
def test_project_without_a_database(mode):
    done = subprocess.run([sys.executable, "-c", NO_DATABASE, mode], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert ("django_at_jwt.W021" in done.stdout + done.stderr) == (mode != "stateless")


def test_table_that_is_missing(issuers, monkeypatch, db):
    def unreadable(*_arguments):
        raise DatabaseError

    monkeypatch.setattr(type(IssuerSubject.objects), "using", unreadable)
    assert check_table_of_subjects() == []
    issuers(UserMode.CREATED)
    [warning] = check_table_of_subjects()
    assert isinstance(warning, Warning)
    assert warning.id == "django_at_jwt.W021"
    # An error would prevent "migrate" from creating the table.
    call_command("migrate", verbosity=0)
