"""The claims while mappers put them together: who set what, and how large it has become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .names import write_claim_name
from .problems import FailureReason, MapperFailure
from .values import measure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .names import ClaimPath


class ClaimTree:
    """Claims nested in each other, each value with the places (in the order of application) of the mappers that set it.

    Sizes are counted with a comma after each member and entry, so they are never less than what the JSON has.
    """

    __slots__ = ("_claim_bytes", "_setters", "_sizes", "claims")

    def __init__(self, *, claim_bytes: int) -> None:
        self.claims: dict[str, Any] = {}
        self._claim_bytes = claim_bytes
        self._setters: dict[ClaimPath, tuple[int, ...]] = {}
        self._sizes: dict[str, int] = {}

    @property
    def size(self) -> int:
        """The bytes that all claims add to the JSON of a token, at the most."""
        return sum(self._sizes.values())

    def exact_size(self) -> int:
        """Measure the bytes that all claims add to the JSON of a token that has other claims."""
        return measure(self.claims) - 1 if self.claims else 0

    def setter_of(self, path: ClaimPath) -> int | None:
        """Give the place of a mapper that set this claim, what it is in, or a part of it; ``None`` if it is absent."""
        value: Any = self.claims
        for segment in path:
            if not isinstance(value, dict) or segment not in value:
                return None
            value = value[segment]
        for depth in range(len(path), 0, -1):
            if path[:depth] in self._setters:
                return self._setters[path[:depth]][-1]
        return max(self._setters_at_and_below(path))

    def put(self, path: ClaimPath, value: Any, name_bytes: Sequence[int], *, place: int) -> tuple[int, tuple[int, ...]]:
        """Set a claim, in place of what is there.

        Returns:
            The bytes that it takes, and the places of the mappers of whose values nothing is left.

        Raises:
            MapperFailure: a part of the name stands for something that is no object, or the claim becomes too large.
        """
        size = measure(value) + name_bytes[-1]
        if len(path) == 1 and path[0] not in self.claims:
            # Most claims are of this kind, and this is half of what it would take below.
            self._grow(path[0], size)
            self.claims[path[0]] = value
            self._setters[path] = (place,)
            return size, ()
        parent, depth = self._descend(path)
        added = size + sum(name_bytes[depth:-1]) + 2 * (len(path) - 1 - depth)
        displaced: tuple[int, ...] = ()
        if depth == len(path) - 1 and path[-1] in parent:
            self._grow(path[0], added - name_bytes[-1] - measure(parent[path[-1]]))
            displaced = self._forget(path)
        else:
            self._grow(path[0], added)
        for segment in path[depth:-1]:
            parent[segment] = {}
            parent = parent[segment]
        parent[path[-1]] = value
        self._setters[path] = (place,)
        return size, displaced

    def append(self, path: ClaimPath, entries: list[Any], name_bytes: Sequence[int], *, place: int) -> int:
        """Add the entries that are new to a list, or set the list where there is none; give the bytes that it takes.

        Raises:
            MapperFailure: as :meth:`put`, or what is there is no list.
        """
        parent, depth = self._descend(path)
        if depth < len(path) - 1 or path[-1] not in parent:
            return self.put(path, _without_repetitions(entries), name_bytes, place=place)[0]
        present = parent[path[-1]]
        if not isinstance(present, list):
            raise MapperFailure(FailureReason.CONFLICT, f"what is in {write_claim_name(path)} is no list")
        new = _without_repetitions(entries, present)
        size = measure(new) - 1 if new else 0
        self._grow(path[0], size)
        present += new
        self._setters[path] = (*self._setters.get(path, ()), place)
        return size

    def drop_largest(self, optional: frozenset[int]) -> tuple[int, ...]:
        """Take away the largest value that only optional mappers contributed to; of equals, the one set last.

        Returns:
            The places of those mappers, or nothing where there is no such value.
        """
        candidates = [path for path in self._setters if optional.issuperset(self._contributors(path))]
        if not candidates:
            return ()
        path = max(candidates, key=lambda each: (measure(self._value_at(each)), self._setters[each]))
        parent = self._value_at(path[:-1])
        self._sizes[path[0]] -= measure(parent.pop(path[-1]))
        places = self._forget(path)
        # An object that was only there to hold it goes as well, unless a mapper set it.
        while len(path := path[:-1]) and not self._value_at(path) and path not in self._setters:
            del self._value_at(path[:-1])[path[-1]]
        return places

    def _descend(self, path: ClaimPath) -> tuple[dict[str, Any], int]:
        """The innermost object on the way to a claim that is there, and how many segments lead to it."""
        parent = self.claims
        for depth, segment in enumerate(path[:-1]):
            if segment not in parent:
                return parent, depth
            child = parent[segment]
            if not isinstance(child, dict):
                raise MapperFailure(
                    FailureReason.CONFLICT, f"what is in {write_claim_name(path[: depth + 1])} is no object"
                )
            parent = child
        return parent, len(path) - 1

    def _grow(self, claim: str, size: int) -> None:
        total = self._sizes.get(claim, 0) + size
        if size > 0 and total > self._claim_bytes:
            raise MapperFailure(
                FailureReason.TOO_LARGE, f"the claim would have {total} bytes, and {self._claim_bytes} are the most"
            )
        self._sizes[claim] = total

    def _forget(self, path: ClaimPath) -> tuple[int, ...]:
        gone = self._setters_at_and_below(path)
        for each in [each for each in self._setters if each[: len(path)] == path]:
            del self._setters[each]
        return tuple(sorted(gone))

    def _setters_at_and_below(self, path: ClaimPath) -> set[int]:
        return {place for each, places in self._setters.items() if each[: len(path)] == path for place in places}

    def _contributors(self, path: ClaimPath) -> set[int]:
        """The mappers that would miss something without this claim: of its parts, of itself, and of what it is in."""
        around = (self._setters.get(path[:depth], ()) for depth in range(1, len(path)))
        return self._setters_at_and_below(path).union(*around)

    def _value_at(self, path: ClaimPath) -> Any:
        value: Any = self.claims
        for segment in path:
            value = value[segment]
        return value


def _without_repetitions(entries: Iterable[Any], present: Iterable[Any] = ()) -> list[Any]:
    seen = {_identity(entry) for entry in present}
    new = []
    for entry in entries:
        identity = _identity(entry)
        if identity not in seen:
            seen.add(identity)
            new.append(entry)
    return new


def _identity(entry: Any) -> Any:
    """Something hashable that two entries share if they are the same JSON. ``1``, ``1.0`` and ``True`` are not."""
    if isinstance(entry, dict):
        return dict, frozenset((name, _identity(value)) for name, value in entry.items())
    if isinstance(entry, list):
        return list, tuple(_identity(each) for each in entry)
    return type(entry), entry
