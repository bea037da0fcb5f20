"""An API with its own users, with this app and the admin installed, and without django-oauth-toolkit."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.patience import PATIENCE_SECONDS

SCRIPT = """
import io, json, sys
import django
from django.conf import settings

settings.configure(
    SECRET_KEY="x",
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[f"django.contrib.{app}" for app in ("admin", "auth", "contenttypes", "messages", "sessions")]
    + ["rest_framework", "django_at_jwt"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": [
            "django.template.context_processors.request",
            "django.contrib.auth.context_processors.auth",
            "django.contrib.messages.context_processors.messages",
        ]},
    }],
)
django.setup()

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from django_at_jwt.core.subjects import UserMode
from django_at_jwt.models import IssuerSubject
from django_at_jwt.resource_server.users import resolution
from django_at_jwt.resource_server.users.lookup import UserOptions
from django_at_jwt.rest_framework import AccessTokenAuthentication
from django_at_jwt.testing import AccessTokenClient, InMemoryIssuer


class WhoAmI(APIView):
    authentication_classes = [AccessTokenAuthentication]

    def get(self, request):
        return Response({"user": request.user.pk})


urlpatterns = [path("admin/", admin.site.urls), path("whoami/", WhoAmI.as_view())]

call_command("check")
call_command("migrate", verbosity=0)
resolution.user_options = lambda issuer: UserOptions(mode=UserMode.CREATED)
with InMemoryIssuer().installed() as issuer:
    api = AccessTokenClient(issuer, {"sub": "ann"})
    made = [api.get("/whoami/").json()["user"] for _ in range(2)]
browser = Client()
browser.force_login(User.objects.create_superuser("root"))
page = browser.get("/admin/django_at_jwt/issuersubject/").content.decode()
json.dump({
    "made": made,
    "subjects": [[row.subject, row.user_id] for row in IssuerSubject.objects.all()],
    "in the admin": "ann" in page,
    "loaded": [name for name in sys.modules if name.startswith(("oauthlib", "oauth2_provider"))],
}, sys.stdout)
"""


def test_users_are_made_and_shown():
    left_out = {"DJANGO_SETTINGS_MODULE", "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        env={name: value for name, value in os.environ.items() if name not in left_out}
        | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result == {"made": [1, 1], "subjects": [["ann", 1]], "in the admin": True, "loaded": []}
