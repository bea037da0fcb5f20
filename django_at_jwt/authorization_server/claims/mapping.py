"""Map the claims of one token: select mappers, read their sources, apply them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.db import Error as AnyDatabaseError

from django_at_jwt.conf import app_settings
from django_at_jwt.core.claims import CompiledMappers, MappedClaims, TokenFacts, apply_mappers
from django_at_jwt.core.errors import IssuanceUnavailable
from django_at_jwt.core.quotation import single_line

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
    """Return the claims that mappers add to a token.

    Args:
        mappers: the mappers to apply.
        context: the token's user, client, scopes, audience and grant.
        servers: the resource servers in the token's audience.
        protocol: the protocol claims, as they will be signed.
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
    # With several resource servers, no single name or identifier is right.
    resource_server = {"identifier": servers[0].identifier, "name": str(servers[0])} if len(servers) == 1 else {}
    try:
        values = read_sources(
            selection.needs,
            context,
            resource_server=resource_server,
            protocol=protocol,
            rollback=rollback,
        )
    except AnyDatabaseError as error:
        raise IssuanceUnavailable(f"the sources of claims cannot be read: {single_line(error)}") from None
    return apply_mappers(selection, values, limits=app_settings().size_limits)


def log_problems(mapped: MappedClaims) -> None:
    """Log the optional claims that a token was issued without, never their values."""
    for step in mapped.problems:
        logger.warning(
            "An access token was issued without the claim %r of mapper %r (%s): %s",
            step.claim,
            step.key,
            step.failure.value if step.failure else step.outcome.value,
            step.detail,
        )
