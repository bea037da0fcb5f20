"""The challenges of permissions that deny a token."""

from __future__ import annotations

import time

import pytest
from django.core.exceptions import ImproperlyConfigured
from oauth2_provider.contrib.rest_framework import (
    IsAuthenticatedOrTokenHasScope,
    TokenHasReadWriteScope,
    TokenHasScope,
    TokenMatchesOASRequirements,
)
from rest_framework.generics import ListCreateAPIView
from rest_framework.permissions import BasePermission, IsAdminUser, IsAuthenticated
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from django_at_jwt.rest_framework import (
    AccessTokenAuthentication,
    HasAnyScope,
    HasScopes,
    IsMachine,
    IsUser,
    RequiresAuthentication,
)
from tests.resource_server.signed_tokens import ask, bearer

from .permission_views import Api, insufficient, outcome, view_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]


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
