"""The fields of django-oauth-toolkit's models that hold when a row was last changed.

They are ``updated``, unless a swapped model removes or replaces it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import DateTimeField

if TYPE_CHECKING:
    from django.db.models import Model


def change_times(model: type[Model]) -> list[str]:
    """Return the names of the fields that ``save()`` sets to the current time.

    Updating a queryset does not set them, nor does saving other fields alone.
    """
    fields = model._meta.concrete_fields
    return [field.attname for field in fields if isinstance(field, DateTimeField) and field.auto_now]


def last_change(model: type[Model]) -> str:
    """Return the name of the field to read, which is ``created`` if rows do not record their changes."""
    return next(iter(change_times(model)), "created")
