"""The output of a run: tables on standard output, and a JSON file."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .interleave import NULL_CONTROL_TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RESULTS: Final = Path(__file__).parent / "results"
_COMPARED: Final = (
    "django-at-jwt",
    "cryptography",
    "jwcrypto",
    "PyJWT",
    "joserfc",
    "Authlib",
    "oxyjwt",
    "django",
    "djangorestframework",
    "djangorestframework-simplejwt",
    "django-oauth-toolkit",
    "oauthlib",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One comparison: a row for each variant, all with the same columns. ``goal`` is this package's target."""

    title: str
    rows: Sequence[Mapping[str, Any]]
    null_control: float
    unrest: float
    goal: str = ""

    @property
    def is_void(self) -> bool:
        """Whether the null control shows that the figures are not reliable."""
        return abs(self.null_control - 1) > NULL_CONTROL_TOLERANCE


def show(table: Table) -> None:
    """Print a table, with texts aligned to the left and numbers to the right."""
    heads = list(table.rows[0])
    cells = [heads, *([_written(head, row[head]) for head in heads] for row in table.rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    print(f"\n{table.title}")
    for line in cells:
        texts = [
            text.ljust(width) if head in {"variant", "remarks"} else text.rjust(width)
            for head, text, width in zip(heads, line, widths, strict=True)
        ]
        print("   " + "   ".join(texts).rstrip())
    if table.goal:
        print(f"   goal: {table.goal}")
    print(f"   null control {table.null_control:.3f}, unrest {table.unrest:.0%}")
    if table.is_void:
        print("   VOID: the null control differs from 1 by more than 3 %: the machine was too busy. Run it again.")


def _written(head: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return (
            f"{value:+.1f}" if head == "added us" else f"{value:.1f}" if head in {"us", "us each"} else f"{value:.2f}"
        )
    return str(value)


def versions() -> dict[str, str]:
    """Return the compared packages and their versions."""
    found = {"python": platform.python_version()}
    for name in _COMPARED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def write(tables: Sequence[Table], *, rounds: int, folder: Path = RESULTS) -> Path:
    """Write a run to a new JSON file, and return its path."""
    now = datetime.now(UTC)
    folder.mkdir(exist_ok=True)
    path = folder / f"{now:%Y%m%dT%H%M%SZ}.json"
    run = {
        "at": now.isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": versions(),
        "rounds": rounds,
        "tables": [asdict(table) | {"void": table.is_void} for table in tables],
    }
    path.write_text(json.dumps(run, indent=2) + "\n")
    return path
