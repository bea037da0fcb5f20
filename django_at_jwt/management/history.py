"""Options of the signing key commands: who runs them and why, for the history of the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django_at_jwt.authorization_server.keys.history import ChangeOrigin
from django_at_jwt.core.quotation import storable

if TYPE_CHECKING:
    from argparse import ArgumentParser


def add_history_arguments(parser: ArgumentParser, *, reason: bool = True) -> None:
    """Declare ``--by`` and, unless the command has its own, ``--reason``."""
    if reason:
        parser.add_argument("--reason", default="", help="why, for the history of the keys")
    parser.add_argument("--by", default="", help="who runs this, for the history of the keys")


def origin_of(command: str, options: dict[str, Any]) -> ChangeOrigin:
    """Return the origin of what a command changes, from its options.

    The user of the operating system is not recorded: under cron or in a container it is the same for everyone. Invalid
    UTF-8 in the command line is replaced.
    """
    return ChangeOrigin(
        actor=storable(options["by"]).strip(),
        source=f"manage.py {command}",
        reason=storable(options.get("reason", "")).strip(),
    )
