"""Forms that notice when somebody else changed their row after they were opened."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import Model

    _ModelForm = forms.ModelForm[Any]
else:
    _ModelForm = forms.ModelForm  # It is generic to the type checker alone.

BACK: Final = "_back"
"""The name of the button that leads from the page which shows a change back to its form."""


def version_of(*rows: Model) -> str:
    """Give what rows hold, as a short text that is another one as soon as anything in them was changed."""
    values = [[row._meta.label, row.pk, *_values(row)] for row in rows]
    return hashlib.sha256(json.dumps(values, cls=DjangoJSONEncoder, sort_keys=True).encode()).hexdigest()


def _values(row: Model) -> Iterable[object]:
    return (getattr(row, field.attname) for field in row._meta.concrete_fields)


class VersionedForm(_ModelForm):
    """A form that knows which version of its row it was opened with."""

    version = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._version = version_of(self.instance)
        self.initial["version"] = self._version

    def clean(self) -> dict[str, Any]:
        """Refuse values for a row that is another one by now, and show the form again to whoever came back to it.

        What a subclass makes of the values is made all the same: without it, they would be called wrong as well.
        """
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.instance.pk and cleaned.get("version") != self._version:
            text = _("Somebody else changed this after you opened it here. Open it again to see how it is now.")
            self.add_error(None, ValidationError(text))
        elif BACK in self.data:
            self.add_error(None, ValidationError(_("This is not saved yet.")))
        return cleaned
