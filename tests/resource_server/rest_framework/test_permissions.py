"""The permission classes on real views: which requests are allowed."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from oauth2_provider.contrib.rest_framework import (
    OAuth2Authentication,
    TokenHasScope,
)
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from django_at_jwt.rest_framework import (
    AccessTokenAuthentication,
    HasAnyScope,
    HasEntitlement,
    HasRole,
    HasScopes,
    InGroup,
    IsClient,
    IsIssuedBy,
    IsMachine,
    IsUser,
    RequiresAuthentication,
)
from tests.resource_server.signed_tokens import ask, bearer

from .permission_views import insufficient, outcome, view_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]


@pytest.mark.compliance("6750-3")
class TestScopes:
    def test_has_scopes_requires_all(self):
        view = view_of(HasScopes("read", "write"))
        assert outcome(view, bearer("write extra read")) == (200, None)
        assert outcome(view, bearer("read")) == (403, insufficient("read write"))
        assert outcome(view, bearer()) == (403, insufficient("read write"))
        assert outcome(view) == (401, 'Bearer scope="read write"')

    def test_has_any_scope_requires_one(self):
        view = view_of(HasAnyScope("read", "admin"))
        assert outcome(view, bearer("admin")) == outcome(view, bearer("read")) == (200, None)
        assert outcome(view, bearer("reader")) == (403, insufficient("read", "One of these is enough: read; admin"))
        assert outcome(view) == (401, 'Bearer scope="read"')

    @pytest.mark.parametrize(
        ("permission", "attribute"), [(HasScopes, "required_scopes"), (HasAnyScope, "allowed_scopes")]
    )
    def test_attribute_of_the_view(self, permission, attribute):
        view = view_of(permission, **{attribute: ["read"]})
        assert outcome(view, bearer("read")) == (200, None)
        assert outcome(view, bearer("write")) == (403, insufficient("read"))

    def test_by_method_here_or_on_the_view(self):
        said = {"GET": ["read"], "POST": ["read", "write"]}
        for view in view_of(HasScopes(said)), view_of(HasScopes, required_scopes=said):
            assert outcome(view, bearer("read")) == (200, None)
            assert outcome(view, bearer("read"), "POST") == (403, insufficient("read write"))
            assert outcome(view, bearer("read write"), "POST") == (200, None)
            assert outcome(view, bearer("write"), "OPTIONS") == (403, insufficient("read"))
            assert outcome(view, bearer("read"), "OPTIONS") == (200, None)
            assert outcome(view, bearer("read write"), "DELETE") == (405, None)

    @pytest.mark.parametrize(
        "method", ["DELETE", "TRACE", "DISPATCH", "REQUEST", "HTTP_METHOD_NAMES", "\u0141", "X" * 5000]
    )
    def test_unsupported_method(self, method):
        view = view_of(HasScopes({"GET": ["read"]}), request=None)
        assert outcome(view, bearer("read"), method) == (405, None)
        assert outcome(view, None, method) == (401, "Bearer")

    def test_options_without_an_entry_are_denied(self):
        view = view_of(HasScopes({"POST": ["write"]}), get=None)
        assert outcome(view, bearer("write"), "OPTIONS") == (403, None)
        assert outcome(view_of(HasScopes({"OPTIONS": []})), bearer(), "OPTIONS") == (200, None)

    def test_method_without_an_entry_is_an_error(self):
        view = view_of(HasScopes({"GET": ["read"]}))
        with pytest.raises(ImproperlyConfigured, match="HasScopes has no entry for 'POST'"):
            ask(view, bearer("read"), "POST")
        assert outcome(view, None, "POST") == (401, "Bearer")

    @pytest.mark.parametrize(
        ("permission", "said"),
        [(HasScopes, "required_scopes"), (HasAnyScope, "allowed_scopes"), (~HasScopes, "required_scopes")],
    )
    def test_view_without_the_attribute_is_an_error(self, permission, said):
        with pytest.raises(ImproperlyConfigured, match=f"Tried uses Has.*attribute {said}"):
            ask(view_of(permission), bearer("read write"))

    @pytest.mark.parametrize(
        "said",
        ["read", "read write", b"read", 1, [1], [""], ["read write"], ['a"b'], ["a\\b"], [["read"]], {"GET": "read"}],
    )
    def test_invalid_scopes_are_an_error(self, said):
        with pytest.raises(ImproperlyConfigured, match="scope"):
            ask(view_of(HasScopes, required_scopes=said), bearer("read"))

    @pytest.mark.parametrize(
        "said",
        [
            ["read write"],
            ["a", ""],
            [{"GET": ["read"]}, "read"],
            [{"GET": "read"}],
            [{"get it": ["read"]}],
            [{"LIST_ALL": ["read"]}],
        ],
    )
    def test_invalid_scopes_are_an_error_when_the_view_is_defined(self, said):
        with pytest.raises(ImproperlyConfigured):
            HasScopes(*said)

    def test_an_empty_list_is_allowed(self):
        assert outcome(view_of(HasScopes, required_scopes=[]), bearer()) == (200, None)
        assert outcome(view_of(HasScopes, required_scopes=[])) == (401, "Bearer")
        with pytest.raises(ImproperlyConfigured, match="allows no scope"):
            ask(view_of(HasAnyScope, allowed_scopes=[]), bearer("read"))

    def test_no_query(self, django_assert_num_queries):
        view = view_of(HasScopes("read") & IsMachine & HasRole("editor"))
        credentials = bearer("read", roles=["editor"])
        ask(view, credentials)
        with django_assert_num_queries(0):
            assert outcome(view, credentials) == (200, None)
            assert outcome(view, bearer("read")) == (403, None)
            assert outcome(view, bearer(roles=["editor"]))[0] == 403


class Documents(GenericViewSet):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [HasScopes]
    required_scopes = {"list": ["read"], "retrieve": ["read"], "publish": ["publish"], "POST": ["write"]}

    def create(self, request):
        return Response([])

    publish = destroy = list = create


@pytest.mark.compliance("6750-3")
class TestActions:
    view = staticmethod(Documents.as_view({"get": "list", "post": "create", "put": "publish", "delete": "destroy"}))

    @pytest.mark.parametrize(
        ("method", "scope"),
        [("GET", "read"), ("HEAD", "read"), ("OPTIONS", "read"), ("POST", "write"), ("PUT", "publish")],
    )
    def test_each_needs_its_own(self, method, scope):
        assert outcome(self.view, bearer(scope), method) == (200, None)
        others = " ".join({"read", "write", "publish"} - {scope})
        assert outcome(self.view, bearer(others), method) == (403, insufficient(scope))

    def test_action_without_an_entry_is_an_error(self):
        with pytest.raises(
            ImproperlyConfigured, match=r"Documents\.required_scopes has no entry for 'destroy' or 'DELETE'"
        ):
            ask(self.view, bearer("read write publish"), "DELETE")

    def test_unsupported_method(self):
        assert outcome(self.view, bearer("read write publish"), "PATCH") == (405, None)

    def test_action_takes_precedence_over_its_method(self):
        view = Documents.as_view({"post": "publish"})
        assert outcome(view, bearer("write"), "POST") == (403, insufficient("publish"))


class TestClaims:
    @pytest.mark.compliance("9068-13")
    @pytest.mark.parametrize(
        ("permission", "claim", "attribute"),
        [
            (HasRole, "roles", "allowed_roles"),
            (InGroup, "groups", "allowed_groups"),
            (HasEntitlement, "entitlements", "allowed_entitlements"),
        ],
    )
    def test_roles_groups_and_entitlements(self, permission, claim, attribute):
        for view in view_of(permission("editor", "chief")), view_of(permission, **{attribute: ["editor", "chief"]}):
            for value in (["editor"], ["x", "chief"], [{"value": "editor", "display": "Editor"}]):
                assert outcome(view, bearer(**{claim: value})) == (200, None)
            for value in ([], ["Editor"], "editor", {"value": "editor"}, [{"display": "editor"}], None, [["editor"]]):
                assert outcome(view, bearer(**{claim: value})) == (403, None)
            assert outcome(view, bearer()) == (403, None)
            assert outcome(view) == (401, "Bearer")

    @pytest.mark.parametrize("permission", [HasRole, InGroup, HasEntitlement, IsClient, IsIssuedBy])
    def test_missing_or_invalid_names(self, permission):
        with pytest.raises(ImproperlyConfigured, match="needs the attribute allowed_"):
            ask(view_of(permission), bearer())
        for names in "", "editor", [], ["", "x"]:
            with pytest.raises(ImproperlyConfigured, match="list of names"):
                ask(view_of(permission, **{permission.attribute: names}), bearer())
        with pytest.raises(ImproperlyConfigured, match="list of names"):
            permission("")

    def test_client_and_issuer(self):
        assert outcome(view_of(IsClient("a client")), bearer()) == (200, None)
        assert outcome(view_of(IsClient, allowed_clients={"another"}), bearer()) == (403, None)
        assert outcome(view_of(IsIssuedBy("https://as.example.com/o")), bearer()) == (200, None)
        assert outcome(view_of(IsIssuedBy("https://as.example.com/o/")), bearer()) == (403, None)

    def test_user_or_machine(self, user):
        of_user, of_machine = bearer(sub=str(user.pk)), bearer()
        found = {
            (name, who): outcome(view_of(permission), credentials)[0]
            for name, permission in (
                ("user", IsUser),
                ("machine", IsMachine),
                ("no user", ~IsUser),
                ("instance", ~IsUser()),
            )
            for who, credentials in (("alice", of_user), ("machine", of_machine))
        }
        assert {each for each, status in found.items() if status == 200} == {
            ("user", "alice"),
            ("machine", "machine"),
            ("no user", "machine"),
            ("instance", "machine"),
        }
        assert set(found.values()) == {200, 403}


EVERY_KIND = [
    HasScopes("read"),
    HasAnyScope("read"),
    HasRole("editor"),
    IsUser,
    IsMachine,
    IsClient("a client"),
    RequiresAuthentication(max_age=9),
]


class TestWithoutToken:
    @pytest.mark.parametrize(
        "permission", [*EVERY_KIND, *(~each for each in EVERY_KIND), ~~IsUser, ~~HasScopes("read")], ids=repr
    )
    def test_session_and_anonymous_requests_are_denied(self, permission, user):
        view = view_of(permission, authentication_classes=[AccessTokenAuthentication, SessionAuthentication])
        assert outcome(view)[0] == 401
        request = APIRequestFactory().get("/")
        force_authenticate(request, user)
        answer = view(request)
        assert (answer.status_code, answer.get("WWW-Authenticate")) == (403, None)

    def test_session_with_another_permission(self, client, user):
        view = view_of(HasScopes("read") | IsAuthenticated)
        request = APIRequestFactory().get("/")
        force_authenticate(request, user)
        assert view(request).status_code == 200

    @pytest.mark.compliance("6750-2")
    @pytest.mark.parametrize(
        ("classes", "told"),
        [
            ([AccessTokenAuthentication], (401, 'Bearer scope="read"')),
            ([AccessTokenAuthentication, SessionAuthentication], (401, 'Bearer scope="read"')),
            ([SessionAuthentication, AccessTokenAuthentication], (403, None)),
            ([BasicAuthentication, AccessTokenAuthentication], (401, 'Basic realm="api"')),
            ([OAuth2Authentication, AccessTokenAuthentication], (401, 'Bearer realm="api"')),
        ],
    )
    def test_first_authentication_class_answers_a_request_without_credentials(self, classes, told):
        assert outcome(view_of(HasScopes("read"), authentication_classes=classes)) == told

    @pytest.mark.compliance("6750-2")
    @pytest.mark.parametrize(
        ("permissions", "scope"),
        [
            ([HasScopes("a"), HasAnyScope("b", "c")], "a b"),
            ([HasScopes("a") & IsUser], "a"),
            ([IsUser, HasScopes("a")], "a"),
            ([HasScopes("a", "b") | HasScopes("c")], "c"),
            ([RequiresAuthentication(max_age=9), HasScopes("a")], "a"),
            ([TokenHasScope, HasScopes("a")], "needed a"),
            ([HasScopes("a") | IsUser], None),
            ([IsAuthenticated], None),
        ],
    )
    def test_401_names_the_required_scopes(self, permissions, scope):
        told = f'Bearer scope="{scope}"' if scope else "Bearer"
        assert outcome(view_of(*permissions, required_scopes=["needed"])) == (401, told)

    @pytest.mark.parametrize(
        "classes",
        [[SessionAuthentication, AccessTokenAuthentication], [OAuth2Authentication, AccessTokenAuthentication]],
    )
    def test_bad_token_is_401_too(self, classes):
        status, challenge = outcome(
            view_of(AllowAny, authentication_classes=classes), {"Authorization": "Bearer a.b.c"}
        )
        assert (status, challenge.partition(",")[0]) == (401, 'Bearer error="invalid_token"')

    def test_opaque_token_of_the_toolkit_has_scopes_and_nothing_else(self, user):
        from datetime import timedelta

        from django.utils import timezone
        from oauth2_provider.models import get_access_token_model

        get_access_token_model().objects.create(
            user=user, token="opaque", scope="read", expires=timezone.now() + timedelta(hours=1)
        )
        opaque = {"Authorization": "Bearer opaque"}
        both = {"authentication_classes": [OAuth2Authentication, AccessTokenAuthentication]}
        assert outcome(view_of(HasScopes("read"), **both), opaque)[0] == 200
        assert outcome(view_of(HasScopes("write"), **both), opaque)[0] == 403
        assert outcome(view_of(~HasScopes("write"), **both), opaque)[0] == 403
        assert outcome(view_of(IsUser, **both), opaque)[0] == 403


class AsksForItsToken(APIView):
    authentication_classes = [AccessTokenAuthentication]

    def get_permissions(self):
        return [HasScopes(*self.request.auth["scope"].split())]


def test_permissions_are_not_evaluated_for_a_bad_token(caplog):
    view = AsksForItsToken.as_view()
    assert ask(view, {"Authorization": "Bearer a.b.c"}).status_code == 401
    assert "Cannot name the scopes" not in caplog.text


def test_repr_has_the_arguments():
    assert repr(HasScopes("read", "write")) == "HasScopes(('read', 'write'))"
    assert repr(HasScopes()) == "HasScopes()"
    assert repr(~IsUser) == "~IsUser()"


def test_deactivated_users_are_refused_before_any_permission(user):
    get_user_model().objects.update(is_active=False)
    assert outcome(view_of(~HasScopes("x")), bearer(sub=str(user.pk)))[0] == 401
