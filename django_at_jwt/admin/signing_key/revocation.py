"""Revocation of a signing key in the admin: the form, the history and the messages."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, Final, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from django_at_jwt.admin.dates import format_instant
from django_at_jwt.authorization_server.keys.revocation import (
    KeyRevocation,
    RefreshTokens,
    RevocationReport,
    revoke_issued_tokens,
)
from django_at_jwt.authorization_server.revocation.rows import has_own_revoke
from django_at_jwt.models import SigningKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest


# Options of the command that retries; if the refresh tokens were kept, it only counts tokens.
_RETRY_OPTIONS: Final = {
    RefreshTokens.NONE: "--revoke-refresh-tokens --dry-run",
    RefreshTokens.OF_ITS_TOKENS: "--revoke-refresh-tokens",
    RefreshTokens.ALL: "--revoke-all-refresh-tokens",
}


class RevocationForm(forms.Form):
    """Why a key is revoked, and which refresh tokens are revoked with it."""

    reason = forms.CharField(
        label=_("Reason"), max_length=200, widget=forms.TextInput(attrs={"class": "vTextField", "autofocus": True})
    )
    refresh_tokens = forms.ChoiceField(
        label=_("Refresh tokens"),
        choices=[
            (RefreshTokens.NONE.value, _("Keep them (they will yield tokens signed by the new key)")),
            (
                RefreshTokens.OF_ITS_TOKENS.value,
                _("Revoke those issued with these access tokens (their users log in again)"),
            ),
            (RefreshTokens.ALL.value, _("Revoke all, because the database leaked (every user logs in again)")),
        ],
        initial=RefreshTokens.NONE.value,
        required=False,
    )

    def clean_refresh_tokens(self) -> RefreshTokens:
        """Return the choice."""
        return RefreshTokens(self.cleaned_data["refresh_tokens"] or RefreshTokens.NONE)


def after_revocation(request: HttpRequest, done: KeyRevocation, asked: Mapping[str, Any]) -> None:
    """Record the revocation, revoke the chosen refresh tokens, and show messages."""
    # Record the change of the keys first: revoking tokens may take long, or fail.
    _record_keys(request, done, asked["reason"])
    chosen = asked["refresh_tokens"]
    hands_over = chosen is not RefreshTokens.NONE and has_own_revoke()
    revoked = RefreshTokens.NONE if hands_over else chosen
    report = revoke_issued_tokens(done, refresh_tokens=revoked)
    _record_refresh_tokens(request, done, revoked, report)
    sentences = [_('The key was revoked. Add its kid to AT_JWT["REVOKED_KIDS"]: %(kid)s') % {"kid": done.kid}]
    if revoked is not RefreshTokens.NONE:
        sentences.append(_("Refresh tokens revoked: %(number)s.") % {"number": report.refresh_tokens.revoked})
    messages.success(request, " ".join(sentences))
    if done.problem is not None:
        messages.warning(request, done.problem)
    for problem in report.problems:
        messages.warning(request, problem)
    command = f"manage.py revoke_signing_key {done.kid} --reason … {_RETRY_OPTIONS[chosen]}"
    if hands_over:
        text = _(
            "No refresh token was revoked: this site's models revoke them one by one, which takes too long for a web "
            "page. Run: %(command)s"
        )
        messages.warning(request, text % {"command": command})
    elif report.problems:
        messages.warning(request, _("To retry, run: %(command)s") % {"command": command})


def _record_keys(request: HttpRequest, done: KeyRevocation, reason: str) -> None:
    rows = {row.kid: row for row in SigningKey.objects.defer("private_jwe")}
    _record(request, rows[done.kid], CHANGE, gettext("Revoked: %(reason)s") % {"reason": reason})
    for times in done.plan.changed:
        is_successor = done.successor is not None and times.kid == done.successor.kid
        # The history is stored as text, for readers in any time zone.
        names = {"kid": done.kid, "until": format_instant(times.retained_at, UTC)}
        if is_successor and done.signs_now:
            ends, is_open = (
                _("Signs since %(kid)s was revoked: until %(until)s."),
                _("Signs since %(kid)s was revoked."),
            )
        else:
            ends = _("Rescheduled when %(kid)s was revoked: until %(until)s.")
            is_open = _("Rescheduled when %(kid)s was revoked.")
        _record(request, rows[times.kid], CHANGE, str(is_open if times.retained_at is None else ends) % names)
    for row in done.made:
        _record(request, row, ADDITION, gettext("Announced when %(kid)s was revoked.") % {"kid": done.kid})


def _record_refresh_tokens(
    request: HttpRequest, done: KeyRevocation, which: RefreshTokens, report: RevocationReport
) -> None:
    if which is RefreshTokens.NONE:
        return
    revoked, failed = report.refresh_tokens
    if which is RefreshTokens.ALL:
        text = gettext("All refresh tokens were revoked: %(number)d.") % {"number": revoked}
    else:
        text = gettext("The refresh tokens of its access tokens were revoked: %(number)d.") % {"number": revoked}
    if failed:
        text += " " + ngettext("%(number)d could not be.", "%(number)d could not be.", failed) % {"number": failed}
    _record(request, SigningKey.objects.defer("private_jwe").get(kid=done.kid), CHANGE, text)


def _record(request: HttpRequest, row: SigningKey, flag: int, message: str) -> None:
    LogEntry.objects.log_actions(cast("int", request.user.pk), [row], flag, message, single_object=True)
