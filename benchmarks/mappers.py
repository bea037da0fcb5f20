"""Claim mappers: what one costs among 1, 10 and 100, and how many statements they add to a token request."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_at_jwt.authorization_server.mapping import map_claims
from django_at_jwt.claims import ClaimContext
from django_at_jwt.core.mappers import (
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CALLS: Final = 50
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
)
_FACTS: Final = TokenFacts(
    client_id=workload.CLIENT_ID,
    scopes=["profile", "read"],
    resource_servers=[workload.AUDIENCE],
    grant="authorization_code",
    is_machine=False,
)
_LIMITS: Final = SizeLimits(token_bytes=64 * 1024)


def tables(rounds: int) -> Iterator[Table]:
    """Measure, and give the table."""
    values = SourceValues(
        user={"email": "Adele@staff.example.com", "first_name": "Adèle", "last_name": "Lindqvist"},
        groups=["engineering", "engineering-platform", "on-call-primary"],
        protocol=workload.claims("17"),
    )
    counts = (1, 10, 100)
    mappers = {count: _mappers(count) for count in counts}
    variants = [
        Variant(
            name=f"{count} mapper{'s' * (count > 1)}",
            prepare=lambda calls: list(repeat(None, calls)),
            call=_applied(mappers[count], values),
            remarks="conditions, transforms, types, sizes and the trace",
        )
        for count in counts
    ]
    comparison = interleave(variants, calls=_CALLS, rounds=rounds)
    rows = [
        {
            "variant": each.variant.name,
            "us": each.microseconds,
            "us each": each.microseconds / count,
            "SQL": _statements(mappers[count]),
            "remarks": each.variant.remarks,
        }
        for count, each in zip(counts, comparison.measurements, strict=False)
    ]
    yield Table(
        title="Claim mappers, applied to one token",
        rows=rows,
        null_control=comparison.null_control,
        unrest=comparison.unrest,
        goal="under 5 us each, and at most 2 statements in all",
    )


def _mappers(count: int) -> CompiledMappers:
    kinds = [_KINDS[place % len(_KINDS)] for place in range(count)]
    return compile_rules(
        parse_rule({"name": f"mapper {place:03}", "claim": f"claim_{place}", **kind})
        for place, kind in enumerate(kinds)
    )


def _applied(mappers: CompiledMappers, values: SourceValues) -> Callable[[object], object]:
    return lambda _nothing: apply_mappers(mappers.select(_FACTS), values, limits=_LIMITS)


def _statements(mappers: CompiledMappers) -> int:
    user, created = get_user_model().objects.get_or_create(username="adele", email="adele@example.com")
    if created:
        user.groups.add(Group.objects.create(name="engineering"))
    context = ClaimContext(
        user=user,
        client=None,
        scopes=_FACTS.scopes,
        resource_servers=_FACTS.resource_servers,
        grant=_FACTS.grant,
    )
    with CaptureQueriesContext(connection) as statements:
        map_claims(mappers, context, servers=(), protocol=workload.claims(str(user.pk)))
    return len(statements)
