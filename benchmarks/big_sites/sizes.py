"""The sizes of sites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How many rows a site has. Of each ``live_share`` access tokens, one has not expired."""

    tokens: int
    users: int
    clients: int
    apis: int
    mappers: int
    keys: int
    live_share: int = 20


SMALL: Final = Size(tokens=1_000, users=100, clients=20, apis=10, mappers=10, keys=4)
BIG: Final = Size(tokens=1_000_000, users=100_000, clients=2_000, apis=200, mappers=300, keys=400)
QUICK: Final = Size(tokens=5_000, users=500, clients=100, apis=20, mappers=30, keys=20)
