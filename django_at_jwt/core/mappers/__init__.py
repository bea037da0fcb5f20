"""Claim mappers: an administrator's rules as data, applied with a trace of what each did.

Rules are parsed (:func:`parse_rule`), compiled once (:func:`compile_rules`), selected for a token by their conditions
(:meth:`CompiledMappers.select`, which says what has to be read) and applied to what was read (:func:`apply_mappers`).
"""

from __future__ import annotations

from .application import ClaimsRefused, ClaimsTooLarge, Oversize, RequiredMapperFailed, SizeLimits, apply_mappers
from .compiling import CompiledMapper, CompiledMappers, Selection, compile_rule, compile_rules
from .conditions import ConditionName, Conditions, Match, TokenFacts, TokensFor
from .parsing import parse_conditions, parse_rule, write_rule
from .personal import personal_mappers, personal_protocol_claims
from .problems import FailureReason, RuleProblem, UnusableRule
from .rules import MapperRule, Merge, WhenMissing
from .sources import Needs, SourceValues, parts_of
from .trace import MappedClaims, Outcome, Step
from .values import ValueType

__all__ = [
    "ClaimsRefused",
    "ClaimsTooLarge",
    "CompiledMapper",
    "CompiledMappers",
    "ConditionName",
    "Conditions",
    "FailureReason",
    "MappedClaims",
    "MapperRule",
    "Match",
    "Merge",
    "Needs",
    "Outcome",
    "Oversize",
    "RequiredMapperFailed",
    "RuleProblem",
    "Selection",
    "SizeLimits",
    "SourceValues",
    "Step",
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
    "parts_of",
    "personal_mappers",
    "personal_protocol_claims",
    "write_rule",
]
