"""The example's URLs, an admin site with stock pages, and the consent pages as a site without templates has them."""

from pathlib import Path

import oauth2_provider
from django.http import HttpResponse
from django.template.backends.django import DjangoTemplates
from django.urls import path

import django_at_jwt
from example_project.urls import urlpatterns as example

from .stock_admin import site

# Without the example's own templates.
engine = DjangoTemplates(
    {
        "NAME": "packages",
        "DIRS": [Path(package.__file__).parent / "templates" for package in (django_at_jwt, oauth2_provider)],
        "APP_DIRS": False,
        "OPTIONS": {},
    }
)
CONSENT = {
    "application": {"name": "Example web application", "client_id": "example-web"},
    "consent": {
        "own_scopes": ["Know who you are"],
        "servers": [{"name": "Notes", "description": "Your personal notes.", "scopes": ["Read your notes"]}],
        "returns_to": "app.example.com",
        "described_by": "app.example.com",
        "can_be_impersonated": True,
    },
}


def consent(request, page):
    return HttpResponse(engine.get_template(f"django_at_jwt/{page}.html").render(CONSENT, request))


urlpatterns = [path("stock/", site.urls), path("own/<slug:page>/", consent), *example]
