"""The guide on testing an API, followed in a project without a database, django-oauth-toolkit or this app."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.patience import PATIENCE_SECONDS

from .blocks import TESTING, blocks_of

PROJECT = {
    "settings.py": """
SECRET_KEY = "x"
ROOT_URLCONF = "urls"
INSTALLED_APPS = ["rest_framework"]
REST_FRAMEWORK = {"UNAUTHENTICATED_USER": None}
AT_JWT = {"USER_MODE": "stateless"}
""",
    "urls.py": """
from django.urls import path
from rest_framework.permissions import BasePermission
from rest_framework.response import Response
from rest_framework.views import APIView
from django_at_jwt.rest_framework import AccessTokenAuthentication

class MayRead(BasePermission):
    def has_permission(self, request, view):
        return request.auth.is_valid(["read"])

class Orders(APIView):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [MayRead]

    def get(self, request):
        return Response({"from": str(request.user)})

urlpatterns = [path("orders/", Orders.as_view())]
""",
    "test_nothing_else.py": """
import sys

def test_nothing_else_was_needed(access_token_client):
    access_token_client.carry(scope="read")
    assert access_token_client.get("/orders/").status_code == 200
    loaded = {name for name in sys.modules if name.startswith(("oauth2_provider", "oauthlib", "django_at_jwt.models"))}
    assert loaded == set()
    assert not [name for name in sys.modules if name.startswith("django_at_jwt.authorization_server")]
""",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text)
    for block in blocks_of(TESTING):
        if block.language == "python":
            (tmp_path / block.file).write_text(block.text)
    [ini] = [block.text for block in blocks_of(TESTING) if block.language == "ini"]
    # In the page there is a package for the settings, and a manage.py by which pytest-django finds it.
    (tmp_path / "pytest.ini").write_text(ini.replace("mysite.settings", "settings") + "pythonpath = .\n")
    examples = [block.text for block in blocks_of(TESTING) if block.language == "pycon"]
    (tmp_path / "test_examples.txt").write_text("\n".join(examples))
    return tmp_path


# Those of the page that need neither a database nor a user, where a user has to be one of this project.
NEED_NO_USER = ["test_hostile_tokens.py", "test_statuses.py", "test_orders.py::test_client_that_acts_for_itself"]


# The second run repeats tests of the first in a project that looks users up.
@pytest.mark.ci
@pytest.mark.parametrize(("user_mode", "run"), [("stateless", []), ("local", NEED_NO_USER)])
def test_page(folder, user_mode, run):
    settings = PROJECT["settings.py"].replace("stateless", user_mode)
    if user_mode == "local":
        settings = settings.replace('["rest', '["django.contrib.auth", "django.contrib.contenttypes", "rest')
    (folder / "settings.py").write_text(settings)
    left_out = {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "PYTEST_ADDOPTS"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    environment = {name: value for name, value in environment.items() if name not in left_out}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:randomly", *run],
        cwd=folder,
        env=environment | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout
