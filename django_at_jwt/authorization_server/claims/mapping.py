"""The mapped claims of one token: mappers selected, their sources read, and the mappers applied."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.db import Error as AnyDatabaseError

from django_at_jwt.conf import app_settings
from django_at_jwt.core.claims import CompiledMappers, MappedClaims, TokenFacts, apply_mappers
from django_at_jwt.core.errors import IssuanceUnavailable

from .sources import read_sources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django_at_jwt.claims import ClaimContext
    from django_at_jwt.core.resource_servers import ResourceServerConfig

logger = logging.getLogger("django_at_jwt")


def map_claims(
    mappers: CompiledMappers,
    context: ClaimContext,
    *,
    servers: Sequence[ResourceServerConfig],
    protocol: Mapping[str, Any],
    rollback: bool = False,
) -> MappedClaims:
    """Give the claims that mappers add to a token.

    Args:
        servers: the resource servers that the token is for.
        protocol: the claims of the protocol, as they will be signed.
        rollback: undo what registered sources write to databases, as for a preview.

    Raises:
        IssuanceUnavailable: the user's rows cannot be read.
        ClaimsRefused: a required mapper failed, or the claims are too large.
    """
    facts = TokenFacts(
        client_id=protocol["client_id"],
        scopes=context.scopes,
        resource_servers=context.resource_servers,
        grant=context.grant,
        is_machine=context.user is None,
    )
    selection = mappers.select(facts)
    if not selection.mappers:
        return MappedClaims(claims={}, trace=())
    # For more than one, a field of one of them would be no more than a guess.
    resource_server = {"identifier": servers[0].identifier, "name": str(servers[0])} if len(servers) == 1 else {}
    try:
        values = read_sources(
            selection.needs,
            context,
            resource_server=resource_server,
            protocol=protocol,
            rollback=rollback,
        )
    except AnyDatabaseError:
        logger.exception("The sources of claims could not be read")
        raise IssuanceUnavailable("the sources of claims cannot be read") from None
    return apply_mappers(selection, values, limits=app_settings().size_limits)


def log_problems(mapped: MappedClaims) -> None:
    """Tell the operator which optional claims a token was issued without. No value is told."""
    for step in mapped.problems:
        logger.warning(
            "An access token was issued without the claim %r of mapper %r (%s): %s",
            step.claim,
            step.key,
            step.failure.value if step.failure else step.outcome.value,
            step.detail,
        )
