"""``manage.py import_signing_key``: import an existing private key."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core.management.base import BaseCommand, CommandError
from django.views.decorators.debug import sensitive_variables

from django_at_jwt.authorization_server.keys.key_import import import_signing_key, read_private_key
from django_at_jwt.conf import app_settings, toolkit_setting
from django_at_jwt.core.errors import KeyChangeRefused
from django_at_jwt.core.quotation import format_instant, single_line
from django_at_jwt.management.errors import as_command_error
from django_at_jwt.management.history import add_history_arguments, origin_of
from django_at_jwt.management.output import plan_lines

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Import a private key as a signing key."""

    # The command may fix what the checks report.
    requires_system_checks = ()
    help = (
        "Imports a private key in PEM or JWK form, or the only key of a JWK set. It is announced, and signs after the "
        "propagation time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("file", nargs="?", help="a file with the key, or - for standard input")
        parser.add_argument(
            "--from-oidc-setting", action="store_true", help='import OAUTH2_PROVIDER["OIDC_RSA_PRIVATE_KEY"]'
        )
        parser.add_argument(
            "--from-setting",
            metavar="NAME",
            help="import a setting that is a string or a dict; after a dot, a key of a setting that is a dict, as in "
            "JWT_AUTH.JWT_PRIVATE_SIGNING_JWK",
        )
        parser.add_argument(
            "--algorithm", help='the algorithm to sign with; default: the first of AT_JWT["SIGNING_ALGORITHMS"]'
        )
        parser.add_argument("--password-variable", help="the environment variable with the password of the PEM")
        add_history_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="check the key, but change nothing")

    @sensitive_variables()
    def handle(self, *_args: Any, **options: Any) -> None:
        """Import the key, and report when it signs and how the times of other keys change.

        Raises:
            CommandError: exit status 1 and one line that contains nothing of the key; nothing was changed.
        """
        with as_command_error("The key was not imported"):
            algorithm = options["algorithm"] or app_settings().signing_algorithms[0]
            try:
                jwk = read_private_key(_read(options), password=_password(options["password_variable"]))
            except KeyChangeRefused as error:
                raise CommandError(f"{_source(options)}: {error}") from None
            origin = origin_of("import_signing_key", options)
            done = import_signing_key(jwk, algorithm=algorithm, origin=origin, dry_run=options["dry_run"])
        did = "Would import" if options["dry_run"] else "Imported"
        lines = [f"{did} {done.kid} for {done.algorithm}; it signs from {format_instant(done.signing_at)}."]
        self.stdout.write("\n".join([*lines, *plan_lines(done.plan, dry_run=options["dry_run"])]))


def _read(options: dict[str, Any]) -> bytes:
    if sum(map(bool, (options["from_oidc_setting"], options["from_setting"], options["file"]))) != 1:
        raise CommandError("Pass either one file, - for standard input, --from-oidc-setting or --from-setting.")
    if options["from_setting"]:
        return _setting(options["from_setting"])
    if options["from_oidc_setting"]:
        key = str(toolkit_setting("OIDC_RSA_PRIVATE_KEY") or "").encode()
        if not key.strip():
            raise CommandError('OAUTH2_PROVIDER["OIDC_RSA_PRIVATE_KEY"] is not set.')
        return key
    try:
        return sys.stdin.buffer.read() if options["file"] == "-" else Path(options["file"]).read_bytes()
    except OSError as error:
        raise CommandError(f"Cannot read {_source(options)}: {error.strerror or single_line(error)}.") from None


def _source(options: dict[str, Any]) -> str:
    if options["file"]:
        return "Standard input" if options["file"] == "-" else ascii(options["file"])
    return options["from_setting"] or 'OAUTH2_PROVIDER["OIDC_RSA_PRIVATE_KEY"]'


@sensitive_variables()
def _setting(path: str) -> bytes:
    name, _dot, key = path.partition(".")
    value = getattr(django_settings, name, None)
    if key:
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, dict):
        try:
            value = json.dumps(value)
        except TypeError:
            # Such as SIMPLE_JWT without the name of the key in it.
            raise CommandError(
                f"The setting {path!r} is a dict, but not a JWK. To import one of its values, add its name after a dot."
            ) from None
    data = value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else b""
    if not data.strip():
        raise CommandError(f"The setting {path!r} is missing, empty, or neither a string nor a dict.")
    return data


def _password(variable: str | None) -> bytes | None:
    if variable is None:
        return None
    password = os.environ.get(variable)
    if password is None:
        raise CommandError(f"The environment variable {variable} is not set.")
    # Passwords need not be valid text.
    return os.fsencode(password)
