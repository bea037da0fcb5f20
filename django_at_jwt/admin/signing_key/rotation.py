"""Early rotation in the admin: the form, and when the next keys take over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_at_jwt.admin.dates import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_at_jwt.authorization_server.keys.rotation import Rotation


class RotationForm(forms.Form):
    """Why the keys are rotated early."""

    reason = forms.CharField(
        label=_("Reason"), max_length=200, required=False, widget=forms.TextInput(attrs={"class": "vTextField"})
    )


def takeover_sentences(rotation: Rotation, algorithms: Iterable[str]) -> list[str]:
    """Return a sentence for each algorithm: which key takes over next, and when."""
    text = gettext("%(algorithm)s: key %(kid)s takes over at %(at)s.")
    return [
        text % {"algorithm": each.algorithm, "kid": each.kid, "at": format_instant(each.at)}
        for each in rotation.takeovers(algorithms)
    ]
