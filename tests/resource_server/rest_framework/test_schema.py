"""The OpenAPI schema that drf-spectacular generates for views that require access tokens."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.validation import validate_schema
from oauth2_provider.contrib.rest_framework import (
    IsAuthenticatedOrTokenHasScope,
    OAuth2Authentication,
    TokenHasReadWriteScope,
    TokenHasResourceScope,
    TokenHasScope,
    TokenMatchesOASRequirements,
)
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from django_at_jwt.rest_framework import (
    AccessTokenAuthentication,
    HasAnyScope,
    HasRole,
    HasScopes,
    IsMachine,
    IsUser,
    RequiresAuthentication,
)
from tests.patience import PATIENCE_SECONDS


class Nothing(serializers.Serializer):
    name = serializers.CharField()


class Api(GenericAPIView):
    schema = AutoSchema()
    authentication_classes = [AccessTokenAuthentication]
    serializer_class = Nothing
    required_scopes = ["read"]
    required_alternate_scopes = {"GET": [["admin"], ["read", "write"]], "POST": []}

    def get(self, request):
        return Response()

    post = get


class Documents(GenericViewSet):
    schema = AutoSchema()
    authentication_classes = [AccessTokenAuthentication]
    serializer_class = Nothing
    permission_classes = [HasScopes & IsUser]
    required_scopes = {"list": ["read"], "retrieve": ["read", "detail"], "DELETE": ["write"]}

    def create(self, request):
        return Response()

    list = retrieve = destroy = create


def schema_of(*patterns):
    schema = SchemaGenerator(patterns=list(patterns)).get_schema(request=None, public=True)
    validate_schema(schema)
    return json.loads(json.dumps(schema))


def security_of(*permissions, **attributes):
    view = type("Tried", (Api,), {"permission_classes": list(permissions), **attributes})
    operations = schema_of(path("tried/", view.as_view()))["paths"]["/tried/"]
    return {method: operation.get("security") for method, operation in operations.items()}


def both(*alternatives):
    security = [{"accessToken": scopes} for scopes in alternatives]
    return {"get": security, "post": security}


class TestScheme:
    def test_flows_of_this_projects_issuer(self, settings):
        [scheme] = schema_of(path("tried/", Api.as_view()))["components"]["securitySchemes"].values()
        scopes = settings.OAUTH2_PROVIDER["SCOPES"]
        token = "https://as.example.com/o/token/"
        assert scheme["type"] == "oauth2"
        assert scheme["flows"] == {
            "authorizationCode": {
                "authorizationUrl": "https://as.example.com/o/authorize/",
                "tokenUrl": token,
                "refreshUrl": token,
                "scopes": scopes,
            },
            "clientCredentials": {"tokenUrl": token, "scopes": scopes},
        }

    def test_scopes_of_the_api_from_the_settings(self, settings):
        described = {settings.API: {"scopes_supported": ["read", "other"]}}
        settings.AT_JWT = {**settings.AT_JWT, "PROTECTED_RESOURCES": described}
        [scheme] = schema_of(path("tried/", Api.as_view()))["components"]["securitySchemes"].values()
        assert scheme["flows"]["clientCredentials"]["scopes"] == {"read": "Read", "other": ""}

    @pytest.mark.urls("tests.site.urls_without")
    def test_where_the_issuers_endpoints_are_elsewhere(self, settings):
        def scheme():
            [found] = schema_of(path("tried/", Api.as_view()))["components"]["securitySchemes"].values()
            return found

        description = "RFC 9068 access tokens of https://as.example.com/o for https://api.example.com/"
        assert scheme() == BEARER | {"description": description}
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ENABLED": True}
        assert scheme() == {
            "type": "openIdConnect",
            "description": description,
            "openIdConnectUrl": "https://as.example.com/o/.well-known/openid-configuration",
        }

    def test_login_that_an_operation_requires_is_in_its_scheme(self):
        login = RequiresAuthentication(acr_values=["urn:example:mfa"], max_age=300)
        view = type("Tried", (Api,), {"permission_classes": [HasScopes("read") & (login | IsMachine)]})
        schema = schema_of(path("tried/", view.as_view()), path("other/", Api.as_view()))
        name = "accessToken_with_urn_3Aexample_3Amfa_20max_5Fage_3D300"
        assert schema["paths"]["/tried/"]["get"]["security"] == [{name: ["read"]}]
        schemes = schema["components"]["securitySchemes"]
        assert schemes.keys() == {"accessToken", name}
        assert schemes[name]["description"].endswith(", of a login with: urn:example:mfa max_age=300 (RFC 9470)")
        assert schemes[name]["flows"] == schemes["accessToken"]["flows"]

    # drf-spectacular imports a module that django-oauth-toolkit moves after version 3.4.
    @pytest.mark.filterwarnings("ignore:oauth2_provider.scopes has moved:DeprecationWarning")
    def test_with_other_authentication_classes(self):
        classes = [SessionAuthentication, OAuth2Authentication, AccessTokenAuthentication]
        view = type("Tried", (Api,), {"permission_classes": [TokenHasScope], "authentication_classes": classes})
        schema = schema_of(path("tried/", view.as_view()))
        assert schema["components"]["securitySchemes"].keys() == {"cookieAuth", "oauth2", "accessToken"}
        security = schema["paths"]["/tried/"]["get"]["security"]
        assert security == [{"cookieAuth": []}, {"oauth2": ["read"]}, {"accessToken": ["read"]}]

    def test_api_with_another_audience(self, settings):
        view = type(
            "Tried", (Api,), {"authentication_classes": [AccessTokenAuthentication.for_audience(settings.REPORTS)]}
        )
        [scheme] = schema_of(path("tried/", view.as_view()))["components"]["securitySchemes"].values()
        assert scheme["description"].endswith(settings.REPORTS)


BEARER = {"type": "http", "scheme": "bearer", "bearerFormat": "at+jwt"}
SLASHED, OTHER = "https://login.example.net/", "https://other.example.com/a_b"


class TestRemoteIssuers:
    @pytest.fixture
    def use(self, settings):
        def set_them(**options):
            both = {"audience": [settings.API, settings.REPORTS], **options}
            settings.OAUTH2_PROVIDER = {}
            settings.AT_JWT = {"ISSUERS": {SLASHED: both, OTHER: {"audience": [settings.REPORTS]}}}

        return set_them

    def schemes(self, *views):
        paths = (path(f"tried/{number}/", view.as_view()) for number, view in enumerate(views))
        return schema_of(*paths)["components"]["securitySchemes"]

    def for_audience(self, audience):
        return type("Tried", (Api,), {"authentication_classes": [AccessTokenAuthentication.for_audience(audience)]})

    def test_issuer_that_may_not_have_openid_connect_has_no_address(self, use):
        use()
        view = type("Tried", (Api,), {"permission_classes": [HasScopes("read")]})
        schema = schema_of(path("tried/", view.as_view()))
        description = "RFC 9068 access tokens of https://login.example.net/ for https://api.example.com/"
        assert schema["components"]["securitySchemes"]["accessToken"] == BEARER | {"description": description}
        # Lists of scopes are not allowed for this type.
        assert schema["paths"]["/tried/"]["get"]["security"] == [{"accessToken": []}]

    def test_address_of_an_issuer_with_a_slash_at_its_end(self, use):
        use(openid_connect=True)
        assert self.schemes(Api)["accessToken"] == {
            "type": "openIdConnect",
            "description": "RFC 9068 access tokens of https://login.example.net/ for https://api.example.com/",
            "openIdConnectUrl": "https://login.example.net/.well-known/openid-configuration",
        }

    @pytest.mark.parametrize("order", [1, -1])
    def test_name_is_the_same_for_every_view(self, order, use, settings):
        use()
        schemes = self.schemes(*[Api, self.for_audience(settings.REPORTS)][::order])
        described = {name: scheme["description"].split("tokens of ")[1] for name, scheme in schemes.items()}
        assert described == {
            "accessToken": f"{SLASHED} for {settings.API}",
            "accessToken_for_reports.example.com__": f"{SLASHED} for {settings.REPORTS}",
            "accessToken_for_reports.example.com___from_other.example.com__a_5Fb": f"{OTHER} for {settings.REPORTS}",
        }

    def test_flows_where_the_settings_have_the_endpoints(self, use, settings):
        token = "https://login.example.net/token"
        use(token_endpoint=token)
        settings.AT_JWT["PROTECTED_RESOURCES"] = {settings.API: {"scopes_supported": ["read"]}}
        scopes = {"read": ""}
        machines = {"clientCredentials": {"tokenUrl": token, "scopes": scopes}}
        assert self.schemes(Api)["accessToken"]["flows"] == machines
        authorization = "https://login.example.net/authorize"
        use(token_endpoint=token, authorization_endpoint=authorization)
        settings.AT_JWT["PROTECTED_RESOURCES"] = {settings.API: {"scopes_supported": ["read"]}}
        assert self.schemes(Api)["accessToken"]["flows"] == machines | {
            "authorizationCode": {
                "authorizationUrl": authorization,
                "tokenUrl": token,
                "refreshUrl": token,
                "scopes": scopes,
            }
        }


class TestScopes:
    @pytest.mark.parametrize(
        ("permissions", "alternatives"),
        [
            ([HasScopes], [["read"]]),
            ([HasScopes("a", "b")], [["a", "b"]]),
            ([HasScopes("a"), HasScopes("b")], [["a", "b"]]),
            ([HasScopes("a") & HasScopes("b")], [["a", "b"]]),
            ([HasScopes("a") | HasScopes("b", "c")], [["a"], ["b", "c"]]),
            ([HasAnyScope("a", "b")], [["a"], ["b"]]),
            ([HasScopes("a") & ~HasScopes("b")], [["a"]]),
            ([IsMachine, HasRole("x")], [[]]),
            ([HasScopes("a") & IsAuthenticated], [["a"]]),
            ([HasScopes("a") | IsAuthenticated], [["a"], []]),
            ([IsAuthenticated], [[]]),
            ([TokenHasScope], [["read"]]),
            ([TokenHasScope & IsUser], [["read"]]),
            ([IsAuthenticatedOrTokenHasScope], [["read"]]),
            ([TokenHasScope | HasScopes("a")], [["read"], ["a"]]),
        ],
    )
    def test_of_each_permission(self, permissions, alternatives):
        assert security_of(*permissions) == both(*alternatives)

    def test_by_method(self):
        assert security_of(HasScopes({"GET": ["a"], "POST": ["b"]})) == {
            "get": [{"accessToken": ["a"]}],
            "post": [{"accessToken": ["b"]}],
        }
        assert security_of(TokenHasReadWriteScope) == {
            "get": [{"accessToken": ["read"]}],
            "post": [{"accessToken": ["read", "write"]}],
        }
        assert security_of(TokenHasResourceScope, required_scopes=["notes"]) == {
            "get": [{"accessToken": ["notes:read"]}],
            "post": [{"accessToken": ["notes:write"]}],
        }
        assert security_of(TokenMatchesOASRequirements) == {
            "get": [{"accessToken": ["admin"]}, {"accessToken": ["read", "write"]}],
            "post": [{"accessToken": []}],
        }

    def test_by_action(self):
        paths = schema_of(
            path("documents/", Documents.as_view({"get": "list"})),
            path("documents/<int:pk>/", Documents.as_view({"get": "retrieve", "delete": "destroy"})),
        )["paths"]
        found = {
            (address, method): each["security"]
            for address, methods in paths.items()
            for method, each in methods.items()
        }
        assert found == {
            ("/documents/", "get"): [{"accessToken": ["read"]}],
            ("/documents/{id}/", "get"): [{"accessToken": ["read", "detail"]}],
            ("/documents/{id}/", "delete"): [{"accessToken": ["write"]}],
        }

    def test_public_view(self):
        assert security_of(AllowAny)["get"] == [{"accessToken": []}, {}]


BEFORE_ANYTHING_ELSE = """
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "drf_spectacular"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["django_at_jwt.rest_framework.AccessTokenAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["django_at_jwt.rest_framework.HasScopes"],
        "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    },
    ROOT_URLCONF="urls",
    AT_JWT={"ISSUERS": {
        "https://as.example.com/o": {"audience": ["https://api.example.com/v1", "https://api.example.com/v2"]},
    }},
)
django.setup()

import sys, types
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from django_at_jwt.rest_framework import AccessTokenAuthentication

class Nothing(serializers.Serializer):
    name = serializers.CharField()

class Api(GenericAPIView):
    required_scopes = ["read"]
    serializer_class = Nothing
    def get(self, request): ...

class Second(Api):
    authentication_classes = [AccessTokenAuthentication.for_audience("https://api.example.com/v2")]

class SecondAgain(Api):
    authentication_classes = [AccessTokenAuthentication.for_audience("https://api.example.com/v2")]

from django.core.management import call_command
from django.urls import path
patterns = [path("", Api.as_view()), path("2/", Second.as_view()), path("3/", SecondAgain.as_view())]
sys.modules["urls"] = types.SimpleNamespace(urlpatterns=patterns)
call_command("spectacular", "--fail-on-warn", "--validate", "--format", "openapi-json")
"""


def test_extension_is_registered_on_import_without_this_app_or_the_toolkit():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BEFORE_ANYTHING_ELSE],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    schema = json.loads(done.stdout)
    security = {address: operations["get"]["security"] for address, operations in schema["paths"].items()}
    second = "accessToken_for_api.example.com__v2"
    assert security == {"/": [{"accessToken": []}], "/2/": [{second: []}], "/3/": [{second: []}]}
    assert {each["type"] for each in schema["components"]["securitySchemes"].values()} == {"http"}
