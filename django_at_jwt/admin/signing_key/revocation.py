"""Revocation of a signing key in the admin: the form and the messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django import forms
from django.contrib import messages
from django.utils.translation import gettext_lazy as _

from django_at_jwt.authorization_server.keys.revocation import RefreshTokens, revoke_issued_tokens
from django_at_jwt.authorization_server.revocation.rows import has_own_revoke

if TYPE_CHECKING:
    from django.http import HttpRequest

    from django_at_jwt.authorization_server.keys.history import ChangeOrigin
    from django_at_jwt.authorization_server.keys.revocation import KeyRevocation


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


def after_revocation(
    request: HttpRequest, done: KeyRevocation, *, refresh_tokens: RefreshTokens, origin: ChangeOrigin
) -> None:
    """Revoke the chosen refresh tokens of a revoked key, and show messages."""
    hands_over = refresh_tokens is not RefreshTokens.NONE and has_own_revoke()
    revoked = RefreshTokens.NONE if hands_over else refresh_tokens
    report = revoke_issued_tokens(done, refresh_tokens=revoked, origin=origin, exact=False)
    sentences = [str(_("The key was revoked."))]
    if revoked is not RefreshTokens.NONE:
        sentences.append(_("Refresh tokens revoked: %(number)s.") % {"number": report.refresh_tokens.revoked})
    sentences.append(_('Add its kid to AT_JWT["REVOKED_KIDS"]: %(kid)s') % {"kid": done.kid})
    messages.success(request, " ".join(sentences))
    if done.problem is not None:
        messages.warning(request, done.problem)
    for problem in report.problems:
        messages.warning(request, problem)
    command = f"manage.py revoke_signing_key --reason … {_RETRY_OPTIONS[refresh_tokens]} -- {done.kid}"
    if hands_over:
        text = _(
            "No refresh token was revoked: this site's models revoke them one by one, which takes too long for a web "
            "page. Run: %(command)s"
        )
        messages.warning(request, text % {"command": command})
    elif report.problems:
        messages.warning(request, _("To retry, run: %(command)s") % {"command": command})
