"""Use the installed package: without django-oauth-toolkit as an API, with it also as the issuer.

Not collected by pytest: `.ci/dist` runs it with Python in environments that hold the wheel and its dependencies.
"""

from __future__ import annotations

import sys
from base64 import b64encode
from importlib.metadata import version
from importlib.util import find_spec
from io import StringIO

import django
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.urls import include, path

SITE = "http://testserver/"
ISSUING = find_spec("oauth2_provider") is not None


def use() -> str:
    from rest_framework.response import Response
    from rest_framework.views import APIView

    from django_at_jwt.rest_framework import AccessTokenAuthentication, HasScopes

    class Orders(APIView):
        authentication_classes = [AccessTokenAuthentication]
        permission_classes = [HasScopes("read")]

        def get(self, request):
            return Response({"client": request.auth.client_id})

    urlpatterns.append(path("orders/", Orders.as_view()))
    if not ISSUING:
        refusal = Client().get("/orders/")
        assert refusal.status_code == 401, refusal
        assert refusal["WWW-Authenticate"].startswith("Bearer"), refusal.headers
        return "refuses a request without a token"

    urlpatterns.append(path("o/", include("django_at_jwt.urls")))
    urlpatterns.append(path("", include("django_at_jwt.well_known_urls")))
    call_command("migrate", verbosity=0)
    call_command("rotate_signing_keys", stdout=StringIO())
    call_command("check", fail_level="WARNING", stdout=StringIO())
    created = {"client_id": "shop", "client_secret": "for this run", "stdout": StringIO()}
    call_command("createapplication", "confidential", "client-credentials", **created)
    basic = b64encode(b"shop:for this run").decode()
    answer = Client().post(
        "/o/token/", {"grant_type": "client_credentials", "scope": "read"}, headers={"Authorization": f"Basic {basic}"}
    )
    assert answer.status_code == 200, answer.content
    answer = Client().get("/orders/", headers={"Authorization": f"Bearer {answer.json()['access_token']}"})
    assert (answer.status_code, answer.json()) == (200, {"client": "shop"}), answer.content
    return "issues a token and accepts it"


urlpatterns = []

if __name__ == "__main__":
    issuing = {}
    if ISSUING:
        from django_at_jwt import oauth2_provider_settings

        issuing = {
            **oauth2_provider_settings(),
            "OIDC_ISS_ENDPOINT": f"{SITE}o",
            "SCOPES": {"read": "Read"},
        }
    settings.configure(
        SECRET_KEY="for this run",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            *(["oauth2_provider"] if ISSUING else []),
            "rest_framework",
            "django_at_jwt",
        ],
        ROOT_URLCONF="__main__",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        ALLOWED_HOSTS=["testserver"],
        OAUTH2_PROVIDER=issuing,
        SILENCED_SYSTEM_CHECKS=["oauth2_provider.E001"],
        AT_JWT={"DEFAULT_RESOURCE": SITE}
        if ISSUING
        else {"ISSUERS": {"https://login.example.com/o": {"audience": SITE}}},
    )
    django.setup()
    sys.stdout.write(f"Python {sys.version.split()[0]}: django-at-jwt {version('django-at-jwt')} {use()}\n")
