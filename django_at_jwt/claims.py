"""Claim sources that developers register under a name that administrators choose in a claim mapper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

from django_at_jwt.core.claims import ValueType

if TYPE_CHECKING:
    from django.utils.functional import Promise

__all__ = ["ClaimContext", "ClaimSource", "ValueType", "register_claim_source", "registered_claim_sources"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimContext:
    """Facts about the token being issued, passed to registered sources and to ``AT_JWT["TOKEN_LIFETIME"]``.

    Attributes:
        user: the user, or ``None`` if the client acts on its own behalf.
        client: the client application.
        scopes: the granted scopes.
        resource_servers: the identifiers in the audience.
        grant: the grant type of the request; ``implicit`` at the authorization endpoint, ``direct`` for a token that
            code of the site issues.
    """

    user: Any
    client: Any
    scopes: Sequence[str]
    resource_servers: Sequence[str]
    grant: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimSource:
    """A registered source: its function, the type of its values, and its label in the admin."""

    name: str
    function: Callable[[ClaimContext], Any]
    type: ValueType
    label: str | Promise
    is_personal: bool


_sources: dict[str, ClaimSource] = {}
_Function = TypeVar("_Function", bound=Callable[[ClaimContext], Any])


@overload
def register_claim_source(
    name: str, function: _Function, *, type: ValueType | str = ..., label: str | Promise = ..., is_personal: bool = ...
) -> _Function: ...
@overload
def register_claim_source(
    name: str,
    function: None = None,
    *,
    type: ValueType | str = ...,
    label: str | Promise = ...,
    is_personal: bool = ...,
) -> Callable[[_Function], _Function]: ...
def register_claim_source(
    name: str,
    function: _Function | None = None,
    *,
    type: ValueType | str = ValueType.STRING,  # noqa: A002 - public API
    label: str | Promise = "",
    is_personal: bool = True,
) -> Any:
    """Register a function as a source for claim mappers. Call it in ``AppConfig.ready``, or use it as a decorator.

    Args:
        name: the name of the source in claim mappers.
        function: takes a :class:`ClaimContext` and returns a value of ``type``, or ``None`` for no value. It is called
            once per token and mapper. An exception makes the mapper fail, and its type is logged. The function must
            have no side effects: previews call it too, and roll back what it writes to the database.
        type: the type of the values.
        label: label in the admin; may be a lazy translation.
        is_personal: whether the values are personal data, which the admin marks.

    Raises:
        ValueError: ``type`` is not a :class:`ValueType`, or ``name`` is empty or registered for another function.
    """
    value_type = ValueType(type)

    def register(function: _Function) -> _Function:
        if not name:
            raise ValueError("The name of a claim source must not be empty.")
        other = _sources.get(name)
        if other is not None and other.function is not function:
            raise ValueError(f"Claim source {name!r} is already registered for another function.")
        _sources[name] = ClaimSource(
            name=name, function=function, type=value_type, label=label or name, is_personal=is_personal
        )
        return function

    return register if function is None else register(function)


def registered_claim_sources() -> dict[str, ClaimSource]:
    """Return all registered sources by name."""
    return dict(_sources)
