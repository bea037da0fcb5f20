"""Sources of claims that a developer adds, by a name that administrators choose in a claim mapper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from django_at_jwt.core.claims import ValueType

__all__ = ["ClaimContext", "ClaimSource", "ValueType", "register_claim_source", "registered_claim_sources"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimContext:
    """What a registered source is told of the token that is about to be issued.

    ``user`` is ``None`` where the client acts for itself. ``resource_servers`` are the identifiers in the audience,
    ``grant`` is the grant type of the request.
    """

    user: Any
    client: Any
    scopes: Sequence[str]
    resource_servers: Sequence[str]
    grant: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimSource:
    """A registered source: its function, the type of what it gives, and how the administrator's pages call it."""

    name: str
    function: Callable[[ClaimContext], Any]
    type: ValueType
    label: str
    is_personal: bool


_sources: dict[str, ClaimSource] = {}
_Function = TypeVar("_Function", bound=Callable[[ClaimContext], Any])


@overload
def register_claim_source(
    name: str, function: _Function, *, type: ValueType | str = ..., label: str = ..., is_personal: bool = ...
) -> _Function: ...
@overload
def register_claim_source(
    name: str, function: None = None, *, type: ValueType | str = ..., label: str = ..., is_personal: bool = ...
) -> Callable[[_Function], _Function]: ...
def register_claim_source(
    name: str,
    function: _Function | None = None,
    *,
    type: ValueType | str = ValueType.STRING,  # noqa: A002 - that is what it is
    label: str = "",
    is_personal: bool = True,
) -> Any:
    """Let claim mappers use ``function`` as a source, under ``name``. Call it in ``AppConfig.ready``, or decorate.

    Args:
        function: takes a :class:`ClaimContext` and gives a value of ``type``, or ``None`` for no value. It is called
            once for each token and each mapper that uses it. What it raises makes the mapper fail, and is logged by its
            type. It must not change anything: it also runs when an administrator looks at a preview, and what it writes
            to a database then is undone.
        label: for the administrator's pages; a lazy translation will do.
        is_personal: whether it tells something about a person, which the pages mark.

    Raises:
        ValueError: ``type`` is no :class:`ValueType`, or ``name`` is empty or registered for another function.
    """
    value_type = ValueType(type)

    def register(function: _Function) -> _Function:
        if not name:
            raise ValueError("A claim source needs a name.")
        other = _sources.get(name)
        if other is not None and other.function is not function:
            raise ValueError(f"The claim source {name!r} is registered already.")
        _sources[name] = ClaimSource(
            name=name, function=function, type=value_type, label=label or name, is_personal=is_personal
        )
        return function

    return register if function is None else register(function)


def registered_claim_sources() -> dict[str, ClaimSource]:
    """Give all registered sources by their names."""
    return dict(_sources)
