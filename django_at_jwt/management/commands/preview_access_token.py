"""``manage.py preview_access_token``: show the claims that a token would have, and the mappers that set them."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from django_at_jwt.authorization_server.claims.lookup import find_client, find_user
from django_at_jwt.authorization_server.claims.messages import explained
from django_at_jwt.authorization_server.claims.preview import SIZE_MARKS, preview_access_token
from django_at_jwt.authorization_server.issuance import TokenRequest
from django_at_jwt.authorization_server.login.events import authentication_by_password
from django_at_jwt.authorization_server.oauthlib_bridge.client_policy import known_grants, usual_grant
from django_at_jwt.core.grant_types import CLIENT_CREDENTIALS
from django_at_jwt.core.resource_servers import TokenFormat
from django_at_jwt.management.errors import as_command_error

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from django_at_jwt.authorization_server.claims.preview import Preview


class Command(BaseCommand):
    """Preview an access token. Nothing is stored or signed, and no private key is decrypted."""

    help = (
        "Shows the header and claims of the access token that a client would get for a user, which claim mapper sets "
        "which claim, why others are skipped, and the size of the token. Nothing is signed. Exit status: 0 a token "
        "would be issued, 1 it would be refused, or the user or client does not exist."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--user", help="username or primary key of the user; omit it for client credentials")
        parser.add_argument("--client", required=True, help="client id")
        parser.add_argument(
            "--scope",
            action="append",
            default=[],
            help="requested scopes, separated by spaces; may be repeated",
        )
        parser.add_argument(
            "--resource", action="append", default=[], help="identifier of a requested API; may be repeated"
        )
        parser.add_argument("--grant", choices=known_grants(), help="the grant; default: the client's own")
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Preview and report.

        Raises:
            CommandError: exit status 1 and one line, if the user or client does not exist, or the database fails.
        """
        _require_text(options)
        with as_command_error("Nothing was previewed"):
            preview = _preview(options)
        remedy = _remedy(preview, has_user=options["user"] is not None) if options["grant"] is None else ""
        self.stdout.write(_as_json(preview) if options["json"] else _as_text(preview, remedy))
        if preview.refusal is not None:
            # The report contains the reason; a CommandError would only add a line.
            sys.exit(1)


def _require_text(options: dict[str, Any]) -> None:
    try:
        "".join([options["client"], options["user"] or "", *options["scope"], *options["resource"]]).encode()
    except UnicodeEncodeError:
        raise CommandError("--user, --client, --scope and --resource must be valid UTF-8.") from None


def _preview(options: dict[str, Any]) -> Preview:
    try:
        client = find_client(options["client"])
        user = None if options["user"] is None else find_user(options["user"])
    except LookupError as error:
        raise CommandError(str(error.args[0])) from None
    grant, now = options["grant"] or usual_grant(client, user), time.time()
    if (grant == CLIENT_CREDENTIALS) != (user is None):
        raise CommandError(
            "The grant client_credentials has no user: omit --user."
            if user is not None
            else f"The grant {grant} needs a user: add --user."
        )
    return preview_access_token(
        TokenRequest(
            client=client,
            grant=grant,
            now=now,
            user=user,
            authentication=None if user is None else authentication_by_password(user, now),
        ),
        scopes=" ".join(options["scope"]).split(),
        resources=options["resource"],
    )


def _remedy(preview: Preview, *, has_user: bool) -> str:
    """Return what to do if the client may not use the grant that was derived from the presence of ``--user``."""
    if preview.refusal is None or preview.refusal.code != "unauthorized_client":
        return ""
    return ": omit --user" if has_user else ": add --user"


def _as_text(preview: Preview, remedy: str) -> str:
    lines = []
    if preview.refusal is not None:
        lines += [f"No token: {preview.refusal.code} ({preview.refusal.reason}{remedy})"]
    if preview.audience:
        lines += [f"Audience: {' '.join(preview.audience)}", f"Scopes: {' '.join(preview.scopes) or '(none)'}"]
    if preview.token_format is TokenFormat.OPAQUE:
        lines += ["The token is opaque and has no claims."]
    if preview.claims:
        lines += ["", f"Header: {json.dumps(preview.header)}", "Claims:"]
        width = max(len(claim.name) for claim in preview.claim_origins)
        for claim in preview.claim_origins:
            marks = [*(["personal"] if claim.is_personal else []), *(["example"] if claim.is_example else [])]
            notes = [", ".join(claim.mappers), *marks]
            note = "; ".join(filter(None, notes))
            value = json.dumps(claim.value, ensure_ascii=False)
            lines.append(f"  {claim.name:<{width}}  {value}" + (f"  ({note})" if note else ""))
    if preview.mappers:
        lines += ["", "Mappers, in the order of application:"]
        for mapper in preview.mappers:
            taken = f", {mapper.step.bytes} bytes" if mapper.step.bytes else ""
            lines.append(f"  {mapper.step.key} ({mapper.step.claim}): {explained(mapper.step)}{taken}")
    if preview.size is not None:
        size = preview.size
        parts = f"header {size.header}, claims {size.claims}, signature {size.signature}"
        over = [mark for mark in SIZE_MARKS if size.total > mark]
        verdict = f"over {over[-1]}: some servers reject it" if over else f"at most {SIZE_MARKS[0]}"
        lines += ["", f"Size: {size.total} bytes ({parts}), {verdict}"]
    return "\n".join(lines)


def _as_json(preview: Preview) -> str:
    refusal, size = preview.refusal, preview.size
    document = {
        "refusal": None
        if refusal is None
        else {"error": refusal.code, "error_description": refusal.description, "reason": refusal.reason},
        "audience": preview.audience,
        "scopes": preview.scopes,
        "token_format": None if preview.token_format is None else preview.token_format.value,
        "header": preview.header,
        "claims": preview.claims,
        "origins": {
            claim.name: {"mappers": claim.mappers, "personal": claim.is_personal, "example": claim.is_example}
            for claim in preview.claim_origins
        },
        "mappers": [
            {
                "name": mapper.step.key,
                "claim": mapper.step.claim,
                "outcome": mapper.step.outcome.value,
                "condition": None if mapper.step.condition is None else mapper.step.condition.value,
                "lost_to": mapper.step.lost_to,
                "failure": None if mapper.step.failure is None else mapper.step.failure.value,
                "detail": mapper.step.detail or None,
                "bytes": mapper.step.bytes,
                "personal": mapper.is_personal,
            }
            for mapper in preview.mappers
        ],
        "size": None
        if size is None
        else {"total": size.total, "header": size.header, "claims": size.claims, "signature": size.signature},
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
