"""Claim mappers: rules as data, applied with a trace.

Rules are parsed (:func:`parse_rule`), compiled once (:func:`compile_rules`), selected for a token by their conditions
(:meth:`CompiledMappers.select`, which returns the values to read) and applied to those values (:func:`apply_mappers`).
"""

from __future__ import annotations

from .compiler import CompiledMappers, compile_rule, compile_rules
from .conditions import ConditionName, Conditions, Match, TokenFacts, TokensFor
from .engine import (
    ClaimsRefused,
    MappedClaims,
    MapperOutcome,
    MapperStep,
    Oversize,
    SizeLimits,
    apply_mappers,
)
from .errors import FailureReason, RuleProblem, UnusableRule
from .personal_data import personal_mappers, personal_protocol_claims
from .rules import MapperRule, Merge, WhenMissing
from .schema import parse_conditions, parse_rule, write_rule
from .sources import Needs, SourceValues
from .values import ValueType

__all__ = [
    "ClaimsRefused",
    "CompiledMappers",
    "ConditionName",
    "Conditions",
    "FailureReason",
    "MappedClaims",
    "MapperOutcome",
    "MapperRule",
    "MapperStep",
    "Match",
    "Merge",
    "Needs",
    "Oversize",
    "RuleProblem",
    "SizeLimits",
    "SourceValues",
    "TokenFacts",
    "TokensFor",
    "UnusableRule",
    "ValueType",
    "WhenMissing",
    "apply_mappers",
    "compile_rule",
    "compile_rules",
    "parse_conditions",
    "parse_rule",
    "personal_mappers",
    "personal_protocol_claims",
    "write_rule",
]
