"""A site that had a metadata document before this app."""

from django.http import HttpResponse, JsonResponse
from django.urls import include, path, re_path

from django_at_jwt.oauth2_views import MetadataView, issuer_metadata

WELL_KNOWN = ".well-known/oauth-authorization-server"


def of_another_issuer(request, issuer=None):
    return JsonResponse({"issuer": "https://as.example.com", "jwks_uri": "https://as.example.com/keys"})


def without_keys(request, issuer=None):
    return JsonResponse({"issuer": "https://as.example.com/o"})


def merged(request, issuer=None):
    return JsonResponse({**issuer_metadata(), "service_documentation": "https://www.example.com/help"})


async def merged_in_an_event_loop(request, issuer=None):
    return JsonResponse(
        {"issuer": "https://as.example.com/o", "jwks_uri": "https://as.example.com/o/.well-known/jwks.json"}
    )


def failing(request, issuer=None):
    raise RuntimeError("needs a middleware")


def single_page_application(request):
    raise AssertionError("a view for all paths was called")


def not_a_document(request, issuer=None):
    return HttpResponse("<html>")


class Subclass(MetadataView):
    def document(self, request):
        return {**super().document(request), "service_documentation": "https://www.example.com/help"}


def first(view):
    return [path(f"{WELL_KNOWN}/<path:issuer>", view), *without()]


def last(view):
    return [*without(), path("", include("django_at_jwt.well_known_urls")), path(f"{WELL_KNOWN}/<path:issuer>", view)]


def without():
    return [path("o/", include("django_at_jwt.urls"))]


def catching_all(view):
    return [*without(), path("", include("django_at_jwt.well_known_urls")), re_path(r"^.*$", view)]
