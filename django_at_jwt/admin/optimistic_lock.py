"""Forms that detect a concurrent change of their row."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.db.models import Model

    _ModelForm = forms.ModelForm[Any]
else:
    _ModelForm = forms.ModelForm  # Not generic at run time.

BACK: Final = "_back"
"""The name of the button that leads from a review page back to its form."""


def version_of(*rows: Model) -> str:
    """Return a hash of the values of rows, which differs as soon as any value does."""
    values = [
        [row._meta.label, row.pk, *(getattr(row, field.attname) for field in row._meta.concrete_fields)] for row in rows
    ]
    return hashlib.sha256(json.dumps(values, cls=DjangoJSONEncoder, sort_keys=True).encode()).hexdigest()


class VersionedForm(_ModelForm):
    """A form that keeps the version of the row it was opened with."""

    version = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._version = version_of(self.instance)
        self.initial["version"] = self._version

    def clean(self) -> dict[str, Any]:
        """Reject the form if its row changed since it was opened.

        The values are kept either way: subclasses build the instance from them, and the model would report more errors
        for an incomplete one.
        """
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.instance.pk and cleaned.get("version") != self._version:
            text = _("This was changed by someone else since you opened it. Reload to see the latest version.")
            self.add_error(None, ValidationError(text))
        return cleaned

    def is_valid(self) -> bool:
        """Return whether the form can be saved: not if the user only returned to it from another page."""
        return super().is_valid() and BACK not in self.data
