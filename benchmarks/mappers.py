"""Claim mappers: the cost of each, among 1, 10 and 100, and the cost that they add to a token request."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from oauth2_provider.models import get_application_model

from django_at_jwt import oauth2_provider_settings
from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.authorization_server.views.token import TokenView
from django_at_jwt.core.claims import (
    CompiledMappers,
    SizeLimits,
    SourceValues,
    TokenFacts,
    apply_mappers,
    compile_rules,
    parse_rule,
)

from . import workload
from .interleave import Variant, interleave
from .report import Table
from .token_endpoint import SECRET, configure, endpoint_variant, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .interleave import Comparison

_CALLS: Final = 50
_COUNTS: Final = (0, 1, 10, 100)
_RELATED: Final = "profile.department.code"
_KINDS: Final[tuple[dict[str, Any], ...]] = (
    {"source": {"kind": "user", "path": "email"}, "transforms": [{"kind": "lower"}]},
    {"source": {"kind": "constant", "value": "gold"}, "conditions": {"clients": [workload.CLIENT_ID]}},
    {"source": {"kind": "template", "text": "{user:first_name} {user:last_name}"}},
    {"source": {"kind": "user", "path": "first_name"}, "conditions": {"scopes": ["profile", "email"]}},
    {
        "source": {"kind": "groups"},
        "transforms": [{"kind": "filter", "patterns": ["engineering*"]}],
        "type": "strings",
        "conditions": {"resource_servers": [workload.AUDIENCE]},
    },
    {"source": {"kind": "user", "path": _RELATED}},
    {"source": {"kind": "permissions"}, "type": "strings"},
)
_FACTS: Final = TokenFacts(
    client_id=workload.CLIENT_ID,
    scopes=["profile", "read"],
    resource_servers=[workload.AUDIENCE],
    grant="authorization_code",
    is_machine=False,
)
_LIMITS: Final = SizeLimits(token_bytes=64 * 1024)
_PASSWORD: Final = "correct horse"


def tables(rounds: int) -> Iterator[Table]:
    """Measure, and yield the tables."""
    yield _applied_to_values(rounds)
    yield _in_token_requests(rounds)


def _applied_to_values(rounds: int) -> Table:
    values = SourceValues(
        user={"email": "Adele@staff.example.com", "first_name": "Adèle", "last_name": "Lindqvist", _RELATED: "R+D"},
        groups=["engineering", "engineering-platform", "on-call-primary"],
        permissions=["auth.view_group", "auth.view_user"],
        protocol=workload.claims("17"),
    )
    variants = [
        Variant(
            name=_name(count),
            prepare=lambda calls: list(repeat(None, calls)),
            call=_applied(compile_rules(parse_rule(data) for data in _mappers(count)), values),
            remarks="conditions, transforms, types, sizes and the trace" if count else "the fixed costs",
        )
        for count in _COUNTS
    ]
    comparison = interleave(variants, calls=_CALLS, rounds=rounds)
    return Table(
        title="Claim mappers, applied to one token",
        rows=[
            {
                "variant": each.variant.name,
                "us": each.microseconds,
                "us each": cost,
                "remarks": each.variant.remarks,
            }
            for each, cost in zip(comparison.measurements, _costs_of_one_more(comparison), strict=False)
        ],
        null_control=comparison.null_control,
        unrest=comparison.unrest,
        goal="under 5 us for each additional mapper; the first one also pays for measuring the token's size",
    )


def _costs_of_one_more(comparison: Comparison) -> list[float | None]:
    """Return the cost of each row over the previous one, per additional mapper."""
    costs = [each.microseconds for each in comparison.measurements]
    more = [
        (costs[place] - costs[place - 1]) / (_COUNTS[place] - _COUNTS[place - 1]) for place in range(1, len(_COUNTS))
    ]
    return [None, *more]


def _in_token_requests(rounds: int) -> Table:
    rotate_signing_keys()
    _make_adele()
    client = get_application_model().objects.create(
        name="a trusted program",
        client_id=workload.CLIENT_ID,
        client_type="confidential",
        authorization_grant_type="password",
        client_secret=SECRET,
        hash_client_secret=False,
    )
    before = settings.OAUTH2_PROVIDER, settings.AT_JWT
    try:
        variants = [_request(count, client.client_id) for count in _COUNTS]
        comparison = interleave(variants, calls=_CALLS // 10, rounds=rounds // 2)
        rows = rows_of(comparison)
    finally:
        configure(*before)
    return Table(
        title="A token from the token endpoint, for a user with a password",
        rows=rows,
        null_control=comparison.null_control,
        unrest=comparison.unrest,
        goal="at most 2 additional statements, regardless of the number of mappers",
    )


def _request(count: int, client_id: str) -> Variant:
    return endpoint_variant(
        _name(count),
        TokenView,
        client_id,
        oauth2_provider={
            **oauth2_provider_settings(),
            "SCOPES": {"read": "Read", "profile": "Know who you are"},
            "OIDC_ISS_ENDPOINT": workload.ISSUER,
        },
        at_jwt={
            "DEFAULT_RESOURCE": workload.AUDIENCE,
            "MAPPABLE_USER_FIELDS": ["email", "first_name", "last_name", _RELATED],
            "CLAIM_MAPPERS": _mappers(count),
            "MAX_CLAIMS_BYTES": _LIMITS.token_bytes,
        },
        remarks="fields, a related row, groups, permissions" if count > len(_KINDS) else "",
        grant_type="password",
        username="adele",
        password=_PASSWORD,
        scope="read profile",
    )


def _name(count: int) -> str:
    return f"{count} mapper{'s' * (count != 1)}"


def _mappers(count: int) -> list[dict[str, Any]]:
    kinds = [_KINDS[place % len(_KINDS)] for place in range(count)]
    return [{"name": f"mapper {place:03}", "claim": f"claim_{place}", **kind} for place, kind in enumerate(kinds)]


def _applied(mappers: CompiledMappers, values: SourceValues) -> Callable[[object], object]:
    return lambda _nothing: apply_mappers(mappers.select(_FACTS), values, limits=_LIMITS)


def _make_adele() -> None:
    # The Profile model of the tests' site.
    from tests.people.models import Department, Profile  # noqa: PLC0415 - models need a configured Django

    user = get_user_model().objects.create_user("adele", "adele@example.com", _PASSWORD, first_name="Adèle")
    Profile.objects.create(user=user, department=Department.objects.create(code="R+D"))
    group = Group.objects.create(name="engineering")
    group.permissions.set(Permission.objects.filter(codename__in=["view_user", "view_group"]))
    user.groups.add(group)
