"""The former identifiers of a resource server in its form, one per line."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from django_at_jwt.core.quotation import quote
from django_at_jwt.core.resource_servers import is_resource_identifier


class AliasesField(forms.CharField):
    """A form field for identifiers, one per line."""

    widget = forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"})

    def prepare_value(self, value: Any) -> Any:
        """Return identifiers as lines of text; a row loaded from a fixture may hold anything."""
        return "\n".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value or "")

    def to_python(self, value: Any) -> Any:
        """Return the identifiers, one from each line.

        Raises:
            ValidationError: a line is not an identifier.
        """
        lines = str(super().to_python(value)).split()
        invalid = [quote(line) for line in lines if not is_resource_identifier(line)]
        if invalid:
            raise ValidationError(
                _("Not an absolute URI with a host and without a fragment: %(lines)s. Write one identifier per line."),
                params={"lines": ", ".join(invalid)},
            )
        return lines

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the identifiers differ."""
        return str(self.prepare_value(initial)).split() != str(data or "").split()
