"""Revoking a signing key in the admin: what is asked for, what the history keeps of it, and what the user is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.utils.translation import gettext_lazy as _

from django_at_jwt.authorization_server.keys.revocation import (
    RefreshTokens,
    Revocation,
    RevocationReport,
    revoke_issued_tokens,
)
from django_at_jwt.models import SigningKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest


# The same once more on a command line; whoever left the refresh tokens alone has them counted and nothing else.
_ONCE_MORE: Final = {
    RefreshTokens.NONE: "--revoke-refresh-tokens --dry-run",
    RefreshTokens.OF_ITS_TOKENS: "--revoke-refresh-tokens",
    RefreshTokens.ALL: "--revoke-all-refresh-tokens",
}


class RevocationForm(forms.Form):
    """Why a key is revoked, and what goes with it."""

    reason = forms.CharField(
        label=_("Reason"), max_length=200, widget=forms.TextInput(attrs={"class": "vTextField", "autofocus": True})
    )
    refresh_tokens = forms.ChoiceField(
        label=_("Refresh tokens"),
        choices=[
            (RefreshTokens.NONE.value, _("Leave them be: they bring tokens of the new key")),
            (RefreshTokens.OF_ITS_TOKENS.value, _("Revoke those of these access tokens: their users log in again")),
            (RefreshTokens.ALL.value, _("Revoke all, since the database leaked: every user logs in again")),
        ],
        initial=RefreshTokens.NONE.value,
        required=False,
    )

    def clean_refresh_tokens(self) -> RefreshTokens:
        """Give the choice as a value."""
        return RefreshTokens(self.cleaned_data["refresh_tokens"] or RefreshTokens.NONE)


def after_revocation(request: HttpRequest, done: Revocation, asked: Mapping[str, Any]) -> None:
    """Note what was done, see to the key's tokens, and tell the user."""
    # What was done to keys is noted before anything is done to tokens, which may take long, or fail.
    _note_keys(request, done, asked["reason"])
    aftermath = revoke_issued_tokens(done, refresh_tokens=asked["refresh_tokens"])
    _note_refresh_tokens(request, done, asked["refresh_tokens"], aftermath)
    told = [_("The key was revoked. Add its kid to AT_JWT['REVOKED_KIDS']: %(kid)s") % {"kid": done.kid}]
    if asked["refresh_tokens"] is not RefreshTokens.NONE:
        told.append(_("Refresh tokens revoked: %(number)s.") % {"number": aftermath.refresh_tokens.revoked})
    messages.success(request, " ".join(told))
    if done.problem is not None:
        messages.warning(request, done.problem)
    for problem in aftermath.problems:
        messages.warning(request, problem)
    if aftermath.problems:
        command = f"manage.py revoke_signing_key {done.kid} --reason … {_ONCE_MORE[asked['refresh_tokens']]}"
        messages.warning(request, _("To try that again, run: %(command)s") % {"command": command})


def _note_keys(request: HttpRequest, done: Revocation, reason: str) -> None:
    rows = {row.kid: row for row in SigningKey.objects.defer("private_jwe")}
    _note(request, rows[done.kid], CHANGE, f"Revoked: {reason}")
    for times in done.plan.changed:
        takes_over = done.successor is not None and times.kid == done.successor.kid
        signs = takes_over and done.signs_now
        what = f"Signs since {done.kid} was revoked" if signs else f"Rescheduled when {done.kid} was revoked"
        until = "" if times.retained_at is None else f": until {times.retained_at:%Y-%m-%d %H:%M:%S %Z}"
        _note(request, rows[times.kid], CHANGE, f"{what}{until}.")
    for row in done.made:
        _note(request, row, ADDITION, f"Announced when {done.kid} was revoked.")


def _note_refresh_tokens(
    request: HttpRequest, done: Revocation, which: RefreshTokens, aftermath: RevocationReport
) -> None:
    if which is RefreshTokens.NONE:
        return
    whose = "All refresh tokens" if which is RefreshTokens.ALL else "The refresh tokens of its access tokens"
    revoked, failed = aftermath.refresh_tokens
    text = f"{whose} were revoked: {revoked}." + (f" {failed} could not be." if failed else "")
    _note(request, SigningKey.objects.defer("private_jwe").get(kid=done.kid), CHANGE, text)


def _note(request: HttpRequest, row: SigningKey, flag: int, message: str) -> None:
    LogEntry.objects.log_actions(cast("int", request.user.pk), [row], flag, message, single_object=True)
