"""The permission classes on real views: which requests are allowed, and the challenges."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oauth2_provider.contrib.rest_framework import (
    IsAuthenticatedOrTokenHasScope,
    OAuth2Authentication,
    TokenHasReadWriteScope,
    TokenHasScope,
    TokenMatchesOASRequirements,
)
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.generics import ListCreateAPIView
from rest_framework.permissions import AllowAny, BasePermission, IsAdminUser, IsAuthenticated
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.response import Response
from rest_framework.serializers import Serializer
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

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]


class Api(APIView):
    authentication_classes = [AccessTokenAuthentication]

    def get(self, request):
        return Response({"user": str(request.user)})

    post = get


def view_of(*permissions, base=Api, **attributes):
    return type("Tried", (base,), {"permission_classes": list(permissions), **attributes}).as_view()


def insufficient(scope, description=None):
    told = f', error_description="{description}"' if description else ""
    return f'Bearer error="insufficient_scope", scope="{scope}"{told}'


def outcome(view, credentials=None, method="GET"):
    answer = ask(view, credentials, method)
    return answer.status_code, answer.get("WWW-Authenticate")


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


class Nothing(Serializer):
    pass


class Refuses(BasePermission):
    message = "Closed on Sundays."

    def has_permission(self, request, view):
        return False


class AsksTheToken(BasePermission):
    def has_permission(self, request, view):
        return request.auth.is_valid(["custom"])


class RefusesTheObject(BasePermission):
    def has_object_permission(self, request, view, obj):
        return False


class WithObject(Api):
    def get(self, request):
        self.check_object_permissions(request, object())
        return Response()


class Hidden(Api):
    def permission_denied(self, request, message=None, code=None):
        from django.http import Http404

        raise Http404


@pytest.mark.compliance("6750-3")
class TestChallenges:
    @pytest.mark.parametrize(
        ("permissions", "scope", "told"),
        [
            ([HasScopes("a"), HasScopes("b")], "", insufficient("a b")),
            ([HasScopes("a"), HasScopes("b")], "a", insufficient("a b")),
            ([HasScopes("a"), HasScopes("b")], "b", insufficient("a b")),
            ([HasScopes, HasScopes("b")], "b", insufficient("needed b")),
            ([HasScopes("a") & HasScopes("b")], "a", insufficient("a b")),
            ([HasScopes("b") | HasScopes("a", "c")], "", insufficient("b", "One of these is enough: b; a c")),
            ([HasScopes("b", "d") | HasScopes("a", "c")], "a", insufficient("a c", "One of these is enough: a c; b d")),
            ([HasScopes("a") & ~HasScopes("x")], "", insufficient("a")),
            ([HasScopes("a") & ~HasScopes("x")], "a x", None),
            ([~HasScopes("x"), HasScopes("a")], "x", None),
            ([~HasScopes("x"), Refuses], "", None),
            ([~(HasScopes("x") & HasScopes("y")), Refuses], "x", None),
            ([Refuses, HasScopes("a")], "", None),
            ([HasScopes("a"), Refuses], "", insufficient("a")),
            ([HasScopes("a"), Refuses], "a", None),
            ([HasScopes("a"), IsAdminUser], "", insufficient("a")),
            ([HasScopes("a"), IsUser], "", insufficient("a")),
            ([IsMachine, HasScopes("a")], "", insufficient("a")),
            # Expressions whose left operand is ours.
            ([HasScopes("a") | Refuses], "", insufficient("a")),
            ([HasScopes("a") | Refuses, HasScopes("b")], "", insufficient("a b")),
            ([HasScopes("a") & Refuses], "", insufficient("a")),
            ([HasScopes("a") & Refuses], "a", None),
            ([(HasScopes("a") & Refuses) | HasScopes("b")], "a", insufficient("b")),
            ([(HasScopes("a") | IsUser) & HasScopes("b")], "", insufficient("a b")),
            ([(HasScopes("a") | IsUser) & HasScopes("b")], "a", insufficient("a b")),
            ([IsUser | HasScopes("a")], "", insufficient("a")),
            ([IsUser & HasScopes("a")], "", None),
            ([HasScopes("a") & TokenHasScope], "", insufficient("a needed")),
            # Django REST framework's own operators, and permissions without a challenge.
            ([Refuses & HasScopes("a")], "", None),
            ([Refuses | HasScopes("a")], "", None),
            ([TokenHasScope & HasScopes("a")], "", None),
            ([~(HasScopes("a") | HasScopes("b"))], "a", None),
            ([AsksTheToken], "", None),
            ([HasScopes("a") & AsksTheToken], "a", None),
            # As with django-oauth-toolkit alone.
            ([TokenHasScope], "", None),
            ([HasScopes("a"), TokenHasScope], "", insufficient("a needed")),
            ([HasScopes("a"), TokenHasScope], "a", None),
            ([IsAuthenticatedOrTokenHasScope], "", None),
            ([TokenHasReadWriteScope], "read", None),
            ([TokenMatchesOASRequirements], "read", None),
        ],
    )
    def test_refusal_names_scopes_that_would_be_accepted(self, permissions, scope, told):
        oas = {"GET": [["admin"], ["read", "write"]]}
        view = view_of(*permissions, required_scopes=["needed"], required_alternate_scopes=oas)
        assert outcome(view, bearer(scope)) == (403, told)

    def test_long_lists_of_alternatives_are_cut(self):
        told = outcome(view_of(HasAnyScope(*(f"s{number}" for number in range(1000)))), bearer())
        assert told == (403, insufficient("s0", "One of these is enough: s0; s1; s2; s3; s4; ..."))

    def test_number_of_alternatives_is_limited(self):
        every = HasAnyScope("a0", "b0")
        for number in range(1, 40):
            every &= HasAnyScope(f"a{number}", f"b{number}")
        status, challenge = outcome(view_of(every), bearer())
        assert (status, challenge.count("a") > 40) == (403, True)

    def test_permission_that_the_view_does_not_list_raises_nothing(self):
        class Asks(BasePermission):
            def has_permission(self, request, view):
                return not HasScopes("a").has_permission(request, view)

        assert outcome(view_of(Asks), bearer()) == (200, None)
        assert outcome(view_of(Asks), bearer("a")) == (403, None)
        assert HasScopes("a").has_permission(type("Request", (), {"auth": None}), None) is False

    def test_permission_that_get_permissions_creates(self):
        def get_permissions(self):
            return [(HasScopes("a") | IsAdminUser)(), HasScopes({"GET": ["b"]})]

        view = view_of(get_permissions=get_permissions)
        assert outcome(view, bearer()) == (403, insufficient("a b"))
        assert outcome(view, bearer("a")) == (403, insufficient("a b", "One of these is enough: a b; b"))
        assert outcome(view, bearer("a b")) == (200, None)

    def test_subclass_that_refuses_for_another_reason(self):
        class OnWeekdays(HasScopes):
            def has_permission(self, request, view):
                return super().has_permission(request, view) and False

        assert outcome(view_of(OnWeekdays("a") | Refuses), bearer("a")) == (403, None)
        assert outcome(view_of(OnWeekdays("a") & HasScopes("b")), bearer("a b")) == (403, None)

    def test_message_of_our_own_permission_is_kept(self):
        class Told(HasScopes):
            message, code = "Ask for more.", "more"

        answer = ask(view_of(Told("a")), bearer())
        assert (answer.data["detail"], answer.data["detail"].code) == ("Ask for more.", "more")
        assert answer["WWW-Authenticate"] == insufficient("a")

    def test_message_of_the_permission_is_kept(self):
        assert ask(view_of(Refuses), bearer()).data == {"detail": "Closed on Sundays."}

    def test_object_permissions(self):
        assert outcome(view_of(HasScopes("a"), base=WithObject), bearer("a")) == (200, None)
        assert outcome(view_of(~HasScopes("x"), base=WithObject), bearer("a")) == (200, None)
        assert outcome(view_of(~(HasScopes("x") & IsMachine), base=WithObject), bearer("a")) == (200, None)
        assert outcome(view_of(HasScopes("a"), RefusesTheObject, base=WithObject), bearer("a")) == (403, None)
        told = outcome(view_of(RefusesTheObject & HasScopes("a"), base=WithObject), bearer())
        assert told == (403, None)

    def test_object_that_another_scope_would_allow(self):
        view = view_of((HasScopes("a") & RefusesTheObject) | HasScopes("b"), base=WithObject)
        assert outcome(view, bearer("a")) == (403, insufficient("b"))
        assert outcome(view, bearer("a b")) == (200, None)

    def test_view_that_hides_what_it_refuses(self):
        assert outcome(view_of(HasScopes("a"), base=Hidden), bearer()) == (404, None)

    def test_view_that_refuses_by_itself(self):
        def get(self, request):
            self.permission_denied(request, message="Not today.")

        answer = ask(view_of(HasScopes("a") | HasScopes("b"), get=get), bearer("a"))
        assert (answer.status_code, answer.get("WWW-Authenticate"), answer.data) == (
            403,
            None,
            {"detail": "Not today."},
        )

    def test_scopes_of_a_custom_permission_class_that_is_registered(self):
        from django_at_jwt.rest_framework import scope_alternatives

        class Registered(BasePermission):
            def has_permission(self, request, view):
                return request.auth is not None and "registered" in request.auth.scopes

        scope_alternatives.register(Registered)(lambda permission, request, view: [["registered"]])
        assert outcome(view_of(Registered), bearer()) == (403, None)
        assert outcome(view_of(HasScopes("a"), Registered), bearer()) == (403, insufficient("a registered"))
        assert outcome(view_of(Registered)) == (401, 'Bearer scope="registered"')

    @pytest.mark.parametrize(
        "for_post",
        [HasScopes("write"), RequiresAuthentication(max_age=9), HasScopes("write") | Refuses],
        ids=["scope", "login", "expression"],
    )
    def test_options_and_the_browsable_api_are_shown_to_those_who_may_read(self, for_post, user):
        class Notes(ListCreateAPIView):
            authentication_classes = [AccessTokenAuthentication]
            serializer_class = Nothing
            renderer_classes = [BrowsableAPIRenderer]
            queryset = []

            def get_permissions(self):
                return [HasScopes("read"), *([for_post()] if self.request.method == "POST" else [])]

        view = Notes.as_view()
        alice = {"sub": str(user.pk)}
        page = ask(view, bearer("read", **alice))
        assert (page.status_code, b'method="POST"' in page.content) == (200, False)
        assert "actions" not in ask(view, bearer("read", **alice), "OPTIONS").data
        may = bearer("read write", auth_time=int(time.time()), **alice)
        assert b'method="POST"' in ask(view, may).content
        assert ask(view, may, "OPTIONS").data["actions"].keys() == {"POST"}
        assert outcome(view, bearer("write"), "OPTIONS") == (403, insufficient("read"))


@pytest.mark.compliance("9470-1")
class TestStepUp:
    INSUFFICIENT = (
        'Bearer error="insufficient_user_authentication", '
        'error_description="The user must log in again, or with a stronger method.", '
    )

    @pytest.fixture
    def alice(self, user):
        return {"sub": str(user.pk)}

    def test_acr_must_be_one_of_the_listed(self, alice):
        view = view_of(RequiresAuthentication(acr_values=["gold", "silver"]))
        assert outcome(view, bearer(acr="silver", **alice)) == (200, None)
        for claims in {"acr": "bronze"}, {"acr": ["gold"]}, {"acr": None}, {}:
            assert outcome(view, bearer(**claims, **alice)) == (401, f'{self.INSUFFICIENT}acr_values="gold silver"')

    def test_max_age(self, alice):
        view = view_of(RequiresAuthentication(max_age=300))
        now = int(time.time())
        assert outcome(view, bearer(auth_time=now - 200, **alice)) == (200, None)
        others = now - 340, now + 3600, 10**400, -(10**400), str(now), True, None
        for claims in *({"auth_time": each} for each in others), {}:
            assert outcome(view, bearer(**claims, **alice)) == (401, f'{self.INSUFFICIENT}max_age="300"')

    def test_max_age_0_is_in_the_challenge(self, alice):
        told = outcome(view_of(RequiresAuthentication(max_age=0)), bearer(auth_time=int(time.time()) - 60, **alice))
        assert told == (401, f'{self.INSUFFICIENT}max_age="0"')

    def test_with_scopes(self, alice):
        view = view_of(HasScopes("pay"), RequiresAuthentication(acr_values=["gold"], max_age=60))
        needed = 'acr_values="gold", max_age="60"'
        assert outcome(view, bearer("pay", **alice)) == (401, f"{self.INSUFFICIENT}{needed}")
        status, challenge = outcome(view, bearer(**alice))
        assert status == 401
        assert 'scope="pay"' in challenge
        assert challenge.endswith(needed)
        assert outcome(view, bearer(acr="gold", auth_time=int(time.time()), **alice)) == (403, insufficient("pay"))
        assert outcome(view) == (401, 'Bearer scope="pay"')

    def test_is_one_of_several_ways(self, alice):
        view = view_of(RequiresAuthentication(acr_values=["gold"]) | HasScopes("admin"))
        assert outcome(view, bearer("admin", **alice)) == (200, None)
        assert outcome(view, bearer(**alice)) == (401, f'{self.INSUFFICIENT}acr_values="gold"')
        assert outcome(view, bearer()) == (403, insufficient("admin"))
        view = view_of(HasScopes("admin") | RequiresAuthentication(acr_values=["gold"]))
        assert outcome(view, bearer(**alice)) == (403, insufficient("admin"))
        view = view_of(IsAuthenticated & RequiresAuthentication(acr_values=["gold"]))
        assert outcome(view, bearer(**alice)) == (403, None)

    def test_for_objects(self, alice):
        view = view_of(RequiresAuthentication(max_age=60) | RefusesTheObject, base=WithObject)
        assert outcome(view, bearer(auth_time=int(time.time()), **alice)) == (200, None)
        assert outcome(view, bearer(**alice)) == (401, f'{self.INSUFFICIENT}max_age="60"')

    def test_client_that_acts_for_itself_gets_403(self):
        assert outcome(view_of(RequiresAuthentication(max_age=60)), bearer(auth_time=int(time.time()))) == (403, None)

    def test_body_has_the_error_code(self, alice):
        answer = ask(view_of(RequiresAuthentication(max_age=60)), bearer(**alice))
        assert answer.data["detail"].code == "insufficient_user_authentication"

    @pytest.mark.parametrize("arguments", [{}, {"max_age": -1}, {"acr_values": "gold"}, {"acr_values": ["a b"]}])
    def test_invalid_arguments(self, arguments):
        with pytest.raises(ImproperlyConfigured):
            RequiresAuthentication(**arguments)


class AsksForItsToken(APIView):
    authentication_classes = [AccessTokenAuthentication]

    def get_permissions(self):
        return [HasScopes(*self.request.auth["scope"].split())]


def test_permissions_are_not_evaluated_for_a_bad_token(caplog):
    view = AsksForItsToken.as_view()
    assert ask(view, {"Authorization": "Bearer a.b.c"}).status_code == 401
    assert "Cannot name the scopes" not in caplog.text


SCOPES = "abcd"
leaves = st.builds(
    lambda any_of, scopes: ("any" if any_of else "all", *scopes),
    st.booleans(),
    st.lists(st.sampled_from(SCOPES), min_size=1, max_size=3),
)
expressions = st.recursive(
    leaves,
    lambda inner: st.tuples(st.just("not"), inner) | st.tuples(st.sampled_from(["and", "or"]), inner, inner),
    max_leaves=6,
)


def permission_of(expression):
    match expression:
        case "any", *scopes:
            return HasAnyScope(*scopes)
        case "all", *scopes:
            return HasScopes(*scopes)
        case "not", inner:
            return ~permission_of(inner)
        case "and", one, other:
            return permission_of(one) & permission_of(other)
        case "or", one, other:
            return permission_of(one) | permission_of(other)


def holds(expression, scopes):
    match expression:
        case "any", *wanted:
            return not scopes.isdisjoint(wanted)
        case "all", *wanted:
            return scopes.issuperset(wanted)
        case "not", inner:
            return not holds(inner, scopes)
        case "and", one, other:
            return holds(one, scopes) and holds(other, scopes)
        case "or", one, other:
            return holds(one, scopes) or holds(other, scopes)


def has_not(expression):
    return expression[0] == "not" or any(has_not(each) for each in expression if isinstance(each, tuple))


@pytest.mark.compliance("6750-3")
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(expressions, min_size=1, max_size=2), st.sets(st.sampled_from(SCOPES)))
def test_combinations_agree_with_logic_and_the_named_scopes_are_sufficient(expressions, granted):
    view = view_of(*map(permission_of, expressions))
    status, challenge = outcome(view, bearer(" ".join(granted)))
    assert status == (200 if all(holds(each, granted) for each in expressions) else 403)
    if challenge:
        told = challenge.split('scope="')[1].split('"')[0]
        assert not granted.issuperset(told.split())
        if not any(map(has_not, expressions)):
            assert outcome(view, bearer(told)) == (200, None)
    elif status == 403:
        assert any(map(has_not, expressions))


class Allow(BasePermission):
    pass


class OwnsTheObject(BasePermission):
    def has_object_permission(self, request, view, obj):
        return request.auth.client_id == obj.owner


class Plain(BasePermission):
    """The logic of ``HasScopes("a")``, without exceptions and with DRF's operators."""

    def has_permission(self, request, view):
        return "a" in request.auth.scopes

    def has_object_permission(self, request, view, obj):
        return self.has_permission(request, view)


# Each with a permission A in place of HasScopes("a").
MIXED = {
    "A": lambda a: a,
    "A | IsAdminUser": lambda a: a | IsAdminUser,
    "IsAdminUser | A": lambda a: IsAdminUser | a,
    "A & IsAdminUser": lambda a: a & IsAdminUser,
    "IsAdminUser & A": lambda a: IsAdminUser & a,
    "(Allow & A) | IsAdminUser": lambda a: (Allow & a) | IsAdminUser,
    "IsAdminUser | (Allow & A)": lambda a: IsAdminUser | (Allow & a),
    "(A & Allow) | IsAdminUser": lambda a: (a & Allow) | IsAdminUser,
    "(A & IsAdminUser) | OwnsTheObject": lambda a: (a & IsAdminUser) | OwnsTheObject,
    "(A | IsAdminUser) & OwnsTheObject": lambda a: (a | IsAdminUser) & OwnsTheObject,
    "(A & OwnsTheObject) | IsAdminUser": lambda a: (a & OwnsTheObject) | IsAdminUser,
    "OwnsTheObject | A": lambda a: OwnsTheObject | a,
    "OwnsTheObject & (A | IsAdminUser)": lambda a: OwnsTheObject & (a | IsAdminUser),
    "A | (IsAdminUser & ~A)": lambda a: a | (IsAdminUser & ~a),
    "~A": lambda a: ~a,
    "~A | IsAdminUser": lambda a: ~a | IsAdminUser,
    "~(A | IsAdminUser)": lambda a: ~(a | IsAdminUser),
    "~(IsAdminUser | A)": lambda a: ~(IsAdminUser | a),
    "~(A & IsAdminUser)": lambda a: ~(a & IsAdminUser),
    "~(~A & Allow)": lambda a: ~(~a & Allow),
    "~(A & IsAdminUser) & OwnsTheObject": lambda a: ~(a & IsAdminUser) & OwnsTheObject,
    "A & ~OwnsTheObject": lambda a: a & ~OwnsTheObject,
    "(A | IsAdminUser) | (A & OwnsTheObject)": lambda a: (a | IsAdminUser) | (a & OwnsTheObject),
}


class TestMixedExpressions:
    @pytest.fixture
    def requests(self, django_user_model):
        """Return a request for each combination of a scope, an administrator and an owner."""
        staff = [django_user_model.objects.create_user(f"staff {is_staff}", is_staff=is_staff) for is_staff in (0, 1)]
        return [
            bearer(scope, sub=str(person.pk), client_id=client)
            for scope in ("", "a")
            for person in staff
            for client in ("owner", "stranger")
        ]

    class Note(Api):
        def get(self, request):
            self.check_object_permissions(request, SimpleNamespace(owner="owner"))
            return Response()

    @pytest.mark.parametrize("base", [Api, Note], ids=["view", "object"])
    @pytest.mark.parametrize("expression", MIXED.values(), ids=MIXED)
    def test_decisions_match_those_of_a_plain_permission(self, expression, base, requests):
        plain = view_of(expression(Plain), base=base)
        expected = [outcome(plain, each)[0] for each in requests]
        for ours in HasScopes("a"), HasScopes:
            view = view_of(expression(ours), base=base, required_scopes=["a"])
            assert [outcome(view, each)[0] for each in requests] == expected
        assert set(expected) <= {200, 403}

    def test_next_to_the_same_permission(self, requests):
        for expression in MIXED.values():
            view = view_of(expression(HasScopes("a")), HasScopes("a"), base=self.Note)
            plain = view_of(expression(Plain), Plain, base=self.Note)
            assert [outcome(view, each)[0] for each in requests] == [outcome(plain, each)[0] for each in requests]

    @pytest.mark.parametrize(
        ("expression", "lets_in"),
        [
            ("A | IsAdminUser", lambda a, admin: a or admin),
            ("IsAdminUser | A", lambda a, admin: a or admin),
            ("(Allow & A) | IsAdminUser", lambda a, admin: a or admin),
            ("A & IsAdminUser", lambda a, admin: a and admin),
            ("~A | IsAdminUser", lambda a, admin: not a or admin),
            ("~(A | IsAdminUser)", lambda a, admin: not (a or admin)),
            ("~(A & IsAdminUser)", lambda a, admin: not (a and admin)),
            ("A | (IsAdminUser & ~A)", lambda a, admin: a or admin),
        ],
    )
    def test_decisions_match_logic_with_permissions_of_drf(self, expression, lets_in, django_user_model):
        view = view_of(MIXED[expression](HasScopes("a")))
        for is_staff in False, True:
            person = django_user_model.objects.create_user(f"is staff {is_staff}", is_staff=is_staff)
            for scope in "", "a":
                status = outcome(view, bearer(scope, sub=str(person.pk)))[0]
                assert status == (200 if lets_in(scope == "a", is_staff) else 403)


def test_repr_has_the_arguments():
    assert repr(HasScopes("read", "write")) == "HasScopes(('read', 'write'))"
    assert repr(HasScopes()) == "HasScopes()"
    assert repr(~IsUser) == "~IsUser()"


def test_deactivated_users_are_refused_before_any_permission(user):
    get_user_model().objects.update(is_active=False)
    assert outcome(view_of(~HasScopes("x")), bearer(sub=str(user.pk)))[0] == 401
