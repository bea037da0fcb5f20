"""Run the benchmarks: ``python -m benchmarks [--quick] [--only NAME] [--results FOLDER]``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

import django
from django.core.management import call_command

from .report import RESULTS, show, versions, write

if TYPE_CHECKING:
    from collections.abc import Sequence

_GROUPS: Final = (
    "signatures",
    "drf",
    "token_endpoint",
    "mappers",
    "deny_list",
    "big_sites",
    "mass_revocation",
    "throughput",
)
_ROUNDS: Final = 100
_QUICK_ROUNDS: Final = 4


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="CPU time as ratios to other packages.")
    parser.add_argument("--quick", action="store_true", help="run only a few rounds, to see that it works")
    parser.add_argument("--only", choices=_GROUPS, metavar="NAME", help=f"run only this group: {', '.join(_GROUPS)}")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, metavar="FOLDER", help="folder for the results as JSON"
    )
    options = parser.parse_args(arguments)
    rounds = _QUICK_ROUNDS if options.quick else _ROUNDS
    _set_up_django()
    print(", ".join(f"{name} {number}" for name, number in versions().items()))
    print(
        "Medians of CPU time, with the variants taking turns. Compare ratios only: microseconds depend on the machine."
    )
    tables = []
    for group in [options.only] if options.only else _GROUPS:
        # Imported one by one, since some packages read their settings when they are imported.
        for table in importlib.import_module(f".{group}", __package__).tables(rounds):
            show(table)
            tables.append(table)
    void = sum(table.is_void for table in tables)
    if void:
        print(f"\n{void} of {len(tables)} tables are void: the machine was too busy.")
    print(f"\nWritten to {os.path.relpath(write(tables, rounds=rounds, folder=options.results))}")


def _set_up_django() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = f"{__package__}.settings"
    warnings.simplefilter("ignore")  # Deprecation warnings of the other packages.
    django.setup()
    call_command("migrate", verbosity=0)


if __name__ == "__main__":
    main(sys.argv[1:])
