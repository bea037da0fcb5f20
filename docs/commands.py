"""The reference of the management commands, from their parsers."""

from __future__ import annotations

import re
from argparse import SUPPRESS, Action
from pathlib import Path

from django.core.management import BaseCommand, find_commands, load_command_class

import django_at_jwt

FOLDER = Path(django_at_jwt.__file__).parent / "management"
NAMES = sorted(find_commands(str(FOLDER)))
# Calls, settings, quoted values, options and commands in the texts.
CODE = re.compile(
    r"\w+\([^)]*\)|[A-Z][A-Z0-9_]+\[\"\w+\"\]|\"[^\"]+\"|--[a-z-]*[a-z]"
    rf"|\b(?:{'|'.join([*NAMES, 'cleartokens'])})\b"
)


def commands_as_markdown() -> str:
    """Return a section for each command of this app."""
    return "\n\n".join(map(_section, NAMES))


def _section(name: str) -> str:
    command = load_command_class("django_at_jwt", name)
    command.requires_system_checks = ()
    parser = command.create_parser("manage.py", name)
    inherited = {action.dest for action in BaseCommand().create_parser("manage.py", name)._actions}
    own = [action for action in parser._actions if action.dest not in inherited and action.help is not SUPPRESS]
    lines = [f"## `{name}`", "", _with_code(parser.description or "")]
    if own:
        lines += ["", "| Argument | Meaning |", "| --- | --- |"]
    lines += [f"| {_spelling(action)} | {_meaning(action)} |" for action in own]
    return "\n".join(lines)


def _spelling(action: Action) -> str:
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    return ", ".join(f"`{option}{value}`" for option in action.option_strings)


def _meaning(action: Action) -> str:
    text = _with_code((action.help or "") % {**vars(action), "prog": "manage.py"})
    choices = f"One of {', '.join(f'`{each}`' for each in action.choices)}." if action.choices else ""
    required = "Required." if action.required and action.option_strings else ""
    return " ".join(filter(None, (f"{text[:1].upper()}{text[1:]}".removesuffix(".") + ".", choices, required)))


def _with_code(text: str) -> str:
    return CODE.sub(r"`\g<0>`", text)
