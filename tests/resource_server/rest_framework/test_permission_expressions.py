"""Combinations of permission classes: they decide as logic does, and name sufficient scopes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.permissions import BasePermission, IsAdminUser
from rest_framework.response import Response

from django_at_jwt.rest_framework import (
    HasAnyScope,
    HasScopes,
)
from tests.resource_server.signed_tokens import bearer

from .permission_views import Api, outcome, view_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]


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
