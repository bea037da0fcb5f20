"""The permission classes on real views: who gets in, and what the others are told."""

from __future__ import annotations

import time

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
from rest_framework.permissions import AllowAny, BasePermission, IsAdminUser, IsAuthenticated
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet, ViewSet

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

from .forged import ask, bearer

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
    def test_all(self):
        view = view_of(HasScopes("read", "write"))
        assert outcome(view, bearer("write extra read")) == (200, None)
        assert outcome(view, bearer("read")) == (403, insufficient("read write"))
        assert outcome(view, bearer()) == (403, insufficient("read write"))
        assert outcome(view) == (401, 'Bearer scope="read write"')

    def test_any(self):
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
    def test_method_that_there_is_not(self, method):
        view = view_of(HasScopes({"GET": ["read"]}), request=None)
        assert outcome(view, bearer("read"), method) == (405, None)
        assert outcome(view, None, method) == (401, "Bearer")

    def test_options_that_nothing_is_said_of_are_closed(self):
        view = view_of(HasScopes({"POST": ["write"]}), get=None)
        assert outcome(view, bearer("write"), "OPTIONS") == (403, None)
        assert outcome(view_of(HasScopes({"OPTIONS": []})), bearer(), "OPTIONS") == (200, None)

    def test_method_that_was_forgotten_is_an_error_and_not_open(self):
        view = view_of(HasScopes({"GET": ["read"]}))
        with pytest.raises(ImproperlyConfigured, match="HasScopes has no entry for 'POST'"):
            ask(view, bearer("read"), "POST")
        assert outcome(view, None, "POST") == (401, "Bearer")

    @pytest.mark.parametrize(
        ("permission", "said"),
        [(HasScopes, "required_scopes"), (HasAnyScope, "allowed_scopes"), (~HasScopes, "required_scopes")],
    )
    def test_view_that_forgot_to_say_which_is_an_error_and_not_open(self, permission, said):
        with pytest.raises(ImproperlyConfigured, match=f"Tried uses Has.*attribute {said}"):
            ask(view_of(permission), bearer("read write"))

    @pytest.mark.parametrize(
        "said",
        ["read", "read write", b"read", 1, [1], [""], ["read write"], ['a"b'], ["a\\b"], [["read"]], {"GET": "read"}],
    )
    def test_what_cannot_be_scopes_is_an_error(self, said):
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
    def test_what_cannot_be_scopes_is_an_error_when_the_view_is_written(self, said):
        with pytest.raises(ImproperlyConfigured):
            HasScopes(*said)

    def test_an_empty_list_is_said_on_purpose(self):
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

    def test_action_that_was_forgotten_is_an_error_and_not_open(self):
        with pytest.raises(
            ImproperlyConfigured, match=r"Documents\.required_scopes has no entry for 'destroy' or 'DELETE'"
        ):
            ask(self.view, bearer("read write publish"), "DELETE")

    def test_method_that_there_is_not(self):
        assert outcome(self.view, bearer("read write publish"), "PATCH") == (405, None)

    def test_action_says_more_than_its_method(self):
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
    def test_names_that_were_forgotten_or_are_none(self, permission):
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
    def test_session_and_nobody_are_refused(self, permission, user):
        view = view_of(permission, authentication_classes=[SessionAuthentication, AccessTokenAuthentication])
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
        ("classes", "challenge"),
        [
            ([AccessTokenAuthentication], 'Bearer scope="read"'),
            ([SessionAuthentication, AccessTokenAuthentication], 'Bearer scope="read"'),
            ([AccessTokenAuthentication, SessionAuthentication], 'Bearer scope="read"'),
            ([BasicAuthentication, AccessTokenAuthentication], 'Basic realm="api", Bearer scope="read"'),
            ([OAuth2Authentication, AccessTokenAuthentication], 'Bearer scope="read"'),
        ],
    )
    def test_401_whatever_the_order_of_authenticators(self, classes, challenge):
        view = view_of(HasScopes("read"), authentication_classes=classes)
        assert outcome(view) == (401, challenge)

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
class TestWhatIsTold:
    @pytest.mark.parametrize(
        ("permissions", "scope", "told"),
        [
            ([HasScopes("a"), HasScopes("b")], "", insufficient("a b")),
            ([HasScopes("a"), HasScopes("b")], "b", insufficient("a b")),
            ([HasScopes("a") & HasScopes("b")], "a", insufficient("a b")),
            ([HasScopes("b") | HasScopes("a", "c")], "a", insufficient("a c", "One of these is enough: a c; b")),
            ([HasScopes("a") & ~HasScopes("x")], "", insufficient("a")),
            ([HasScopes("a") & ~HasScopes("x")], "a x", None),
            ([~HasScopes("x"), HasScopes("a")], "x", None),
            ([~HasScopes("x"), Refuses], "", None),
            ([~(HasScopes("x") & HasScopes("y")), Refuses], "x", None),
            ([Refuses, HasScopes("a")], "", None),
            ([Refuses & HasScopes("a")], "", None),
            ([Refuses | HasScopes("a")], "", insufficient("a")),
            ([HasScopes("a"), Refuses], "a", None),
            ([HasScopes("a"), IsAdminUser], "", insufficient("a")),
            ([HasScopes("a"), IsUser], "", None),
            ([IsMachine, HasScopes("a")], "", insufficient("a")),
            ([AsksTheToken], "", insufficient("custom")),
            ([AsksTheToken & HasScopes("a")], "a", insufficient("custom a")),
            ([AsksTheToken | HasScopes("a")], "", insufficient("custom", "One of these is enough: custom; a")),
            ([~AsksTheToken, Refuses], "", None),
            ([TokenHasScope & HasScopes("a")], "a", insufficient("needed a")),
            ([HasScopes("a") & TokenHasScope], "a", insufficient("a needed")),
            ([HasScopes("a"), TokenHasScope], "", insufficient("a needed")),
            ([IsAuthenticatedOrTokenHasScope], "", insufficient("needed")),
            ([TokenHasReadWriteScope], "read", insufficient("needed read")),
            (
                [TokenMatchesOASRequirements],
                "read",
                insufficient("read write", "One of these is enough: read write; admin"),
            ),
            ([~TokenHasScope, Refuses], "", None),
        ],
    )
    def test_403(self, permissions, scope, told):
        oas = {"GET": [["admin"], ["read", "write"]]}
        view = view_of(*permissions, required_scopes=["needed"], required_alternate_scopes=oas)
        assert outcome(view, bearer(scope)) == (403, told)
        if told:
            enough = told.split('scope="')[1].split('"')[0]
            if IsAdminUser not in permissions:
                assert outcome(view, bearer(enough)) == (200, None)

    def test_message_of_the_permission_is_kept(self):
        assert ask(view_of(Refuses), bearer()).data == {"detail": "Closed on Sundays."}

    def test_object_permissions(self):
        assert outcome(view_of(HasScopes("a"), base=WithObject), bearer("a")) == (200, None)
        assert outcome(view_of(~HasScopes("x"), base=WithObject), bearer("a")) == (200, None)
        assert outcome(view_of(~(HasScopes("x") & IsMachine), base=WithObject), bearer("a")) == (200, None)
        assert outcome(view_of(HasScopes("a"), RefusesTheObject, base=WithObject), bearer("a")) == (403, None)
        # With the scope, it would not matter what the other one says.
        told = outcome(view_of(RefusesTheObject | HasScopes("a"), base=WithObject), bearer())
        assert told == (403, insufficient("a"))

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
        assert outcome(view_of(Registered), bearer()) == (403, insufficient("registered"))
        assert outcome(view_of(Registered)) == (401, 'Bearer scope="registered"')

    def test_metadata_of_a_view_is_shown_to_those_who_may(self):
        class Notes(ViewSet):
            authentication_classes = [AccessTokenAuthentication]
            permission_classes = [HasScopes]
            required_scopes = {"list": ["read"], "create": ["write"]}

            def create(self, request):
                return Response([])

            list = create

        view = Notes.as_view({"get": "list", "post": "create"})
        assert outcome(view, bearer("read"), "OPTIONS") == (200, None)
        assert outcome(view, bearer("write"), "OPTIONS") == (403, insufficient("read"))


@pytest.mark.compliance("9470-1")
class TestStepUp:
    INSUFFICIENT = (
        'Bearer error="insufficient_user_authentication", '
        'error_description="The user has to log in again, or in a stronger way.", '
    )

    @pytest.fixture
    def alice(self, user):
        return {"sub": str(user.pk)}

    def test_acr(self, alice):
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

    def test_max_age_0_is_told(self, alice):
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
        assert outcome(view, bearer(**alice))[0] == 401

    def test_machine_has_nobody_who_could_log_in(self):
        assert outcome(view_of(RequiresAuthentication(max_age=60)), bearer(auth_time=int(time.time()))) == (403, None)

    def test_body(self, alice):
        answer = ask(view_of(RequiresAuthentication(max_age=60)), bearer(**alice))
        assert answer.data["detail"].code == "insufficient_user_authentication"

    @pytest.mark.parametrize("arguments", [{}, {"max_age": -1}, {"acr_values": "gold"}, {"acr_values": ["a b"]}])
    def test_what_cannot_be_asked_for(self, arguments):
        with pytest.raises(ImproperlyConfigured):
            RequiresAuthentication(**arguments)


class AsksForItsToken(APIView):
    authentication_classes = [AccessTokenAuthentication]

    def get_permissions(self):
        return [HasScopes(*self.request.auth["scope"].split())]


def test_permissions_that_need_a_token_are_not_asked_for_because_of_a_bad_one(caplog):
    view = AsksForItsToken.as_view()
    assert ask(view, {"Authorization": "Bearer a.b.c"}).status_code == 401
    assert "cannot be told" not in caplog.text


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


@pytest.mark.compliance("6750-3")
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(expressions, min_size=1, max_size=2), st.sets(st.sampled_from(SCOPES)))
def test_combinations_agree_with_logic_and_the_challenge_never_lies(expressions, granted):
    view = view_of(*map(permission_of, expressions))
    status, challenge = outcome(view, bearer(" ".join(granted)))
    assert status == (200 if all(holds(each, granted) for each in expressions) else 403)
    if challenge:
        told = challenge.split('scope="')[1].split('"')[0]
        assert not granted.issuperset(told.split())
        assert outcome(view, bearer(told)) == (200, None)
        assert outcome(view, bearer(" ".join(granted | {*told.split()}))) == (200, None)


def test_a_permission_is_told_in_logs_by_what_it_asks_for():
    assert repr(HasScopes("read", "write")) == "HasScopes(('read', 'write'))"
    assert repr(HasScopes()) == "HasScopes()"
    assert repr(~IsUser) == "~IsUser()"


def test_deactivated_users_are_refused_before_any_permission(user):
    get_user_model().objects.update(is_active=False)
    assert outcome(view_of(~HasScopes("x")), bearer(sub=str(user.pk)))[0] == 401
