"""Shorthand for rules and tokens."""

from __future__ import annotations

from django_at_jwt.core.claims import (
    MappedClaims,
    SizeLimits,
    SourceValues,
    TokenFacts,
    apply_mappers,
    compile_rules,
    parse_rule,
)

FACTS = TokenFacts(
    client_id="web",
    scopes=["profile", "read"],
    resource_servers=["https://api.example.com/"],
    grant="authorization_code",
    is_machine=False,
)
PROTOCOL = {
    "iss": "https://as.example.com/o",
    "sub": "17",
    "aud": "https://api.example.com/",
    "client_id": "web",
    "iat": 1,
    "exp": 3601,
    "jti": "0" * 32,
    "scope": "profile read",
}
ROOMY = SizeLimits(claim_bytes=20_000, token_bytes=60_000)


def values(**given) -> SourceValues:
    return SourceValues(**{"protocol": PROTOCOL, **given})


def rule(value=None, claim="x", **members):
    """Return a mapper for a constant, unless a source is given."""
    source = {"kind": "constant", "value": value}
    return parse_rule({"name": claim, "claim": claim, "source": source, **members})


def mapped(rules, given=None, *, facts=FACTS, limits=ROOMY) -> MappedClaims:
    return apply_mappers(compile_rules(rules).select(facts), given or values(), limits=limits)


def step(result: MappedClaims, key: str = "x"):
    [found] = [each for each in result.trace if each.key == key]
    return found


def from_source(value, value_type="string", transforms=(), **members):
    """Return the claim and the step for a value of a registered source."""
    source = {"kind": "registered", "name": "s"}
    one = rule(source=source, type=value_type, transforms=list(transforms), **members)
    result = mapped([one], values(registered={"s": lambda: value}))
    return result.claims.get("x"), step(result)
