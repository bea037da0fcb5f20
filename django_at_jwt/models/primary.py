"""Reading from the primary database."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from django.db import router

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet

_ModelT = TypeVar("_ModelT", bound="Model")


def primary_rows(model: type[_ModelT]) -> QuerySet[_ModelT]:
    """Return all rows of a model, read from the database that it is written to.

    A lagging replica could miss the latest grant, token or key revocation.
    """
    return model._default_manager.using(router.db_for_write(model))
