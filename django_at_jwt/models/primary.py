"""Rows as the primary database has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from django.db import router

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet

_ModelT = TypeVar("_ModelT", bound="Model")


def primary_rows(model: type[_ModelT]) -> QuerySet[_ModelT]:
    """Give all rows of a model, from the database that it is written to.

    A replica that lags behind would not know of the latest grant, token or, worse, revocation of a key.
    """
    return model._default_manager.using(router.db_for_write(model))
