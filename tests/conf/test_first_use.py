"""A project with unusable settings fails the system checks and the first request."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import cycle
from pathlib import Path

import pytest

from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.ci

ISSUER = "https://as.example.com/o"
SETTINGS = """
SECRET_KEY = "x"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "urls"
INSTALLED_APPS = {apps}
AT_JWT = {at_jwt}
SILENCED_SYSTEM_CHECKS = {silenced}
REST_FRAMEWORK = {{"UNAUTHENTICATED_USER": None}}
"""
URLS = """
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from django_at_jwt.rest_framework import AccessTokenAuthentication


class Api(APIView):
    authentication_classes = [AccessTokenAuthentication]

    def get(self, request):
        return Response({})


urlpatterns = [path("", Api.as_view())]
"""
WSGI = """
from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
"""
FIRST_REQUEST = """
from wsgi import application
from django.test import Client

print(Client().get("/", headers={"Authorization": "Bearer a.b.c"}).status_code)
"""
WITH_THE_APP = ["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "django_at_jwt"]
WITHOUT = ["rest_framework"]
WRONG = {
    "no audience": ({"ISSUERS": {ISSUER: {}}}, "django_at_jwt.E014", 'has no "audience", so tokens for any API'),
    "a typing error": ({"ISSUERS": {ISSUER: {"audiance": "https://a/"}}}, "django_at_jwt.E001", "use audience"),
    "no https": (
        {"ISSUERS": {"http://as.example.com": {"audience": "https://a/"}}},
        "django_at_jwt.E015",
        "which is not an https URL",
    ),
}


@pytest.fixture
def project(tmp_path):
    def make(at_jwt, *, apps, silenced=()):
        settings = SETTINGS.format(apps=apps, at_jwt=at_jwt, silenced=list(silenced))
        for name, text in (("settings", settings), ("urls", URLS), ("wsgi", WSGI), ("first_request", FIRST_REQUEST)):
            (tmp_path / f"{name}.py").write_text(text)

        def run(*arguments):
            path = [str(tmp_path), str(Path(__file__).parents[2])]
            return subprocess.run(
                [sys.executable, "-m", *arguments],
                cwd=tmp_path,
                env={**os.environ, "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": os.pathsep.join(path)},
                capture_output=True,
                text=True,
                timeout=PATIENCE_SECONDS,
                check=False,
            )

        return run

    return make


# What each check says is shown in tests/checks; here, that it keeps a project from starting.
@pytest.mark.parametrize("wrong", WRONG)
def test_checks_report_it(wrong, project):
    at_jwt, check_id, words = WRONG[wrong]
    checked = project(at_jwt, apps=WITH_THE_APP)("django", "check")
    assert checked.returncode == 1
    assert f"({check_id})" in checked.stderr
    assert words in checked.stderr
    assert "HINT: " in checked.stderr
    assert "Traceback" not in checked.stderr


@pytest.mark.parametrize(("wrong", "apps"), [*zip(WRONG, cycle([WITHOUT, WITH_THE_APP]), strict=False)])
def test_first_request_is_refused_with_the_same_sentence(wrong, apps, project):
    at_jwt, _, words = WRONG[wrong]
    answered = project(at_jwt, apps=apps)("first_request")
    assert answered.returncode != 0
    assert answered.stdout == ""
    assert "django.core.exceptions.ImproperlyConfigured: AT_JWT[" in answered.stderr
    assert words in answered.stderr


@pytest.mark.parametrize("apps", [WITH_THE_APP, WITHOUT], ids=["installed", "not installed"])
def test_complete_project_starts(apps, project):
    run = project({"ISSUERS": {ISSUER: {"audience": "https://api.example.com/"}}}, apps=apps)
    assert run("django", "check").returncode == 0
    assert run("gunicorn", "--check-config", "wsgi").returncode == 0
    assert run("first_request").stdout == "401\n"


def test_command_that_runs_no_checks_is_not_kept_from_running(project):
    done = project(WRONG["no audience"][0], apps=WITH_THE_APP)("django", "diffsettings")
    assert done.returncode == 0, done.stderr
