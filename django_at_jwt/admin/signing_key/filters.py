"""Filters of the list of signing keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.models import SigningKey
from django_at_jwt.models.signing_key import STATE_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.contrib.admin import ModelAdmin
    from django.db.models import QuerySet
    from django.http import HttpRequest


class StateFilter(admin.SimpleListFilter):
    """Keys in a state, which is derived from the times of the rows."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, Any]]:
        """Return the states."""
        return [(state.value, name) for state, name in STATE_NAMES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SigningKey]) -> QuerySet[SigningKey]:
        """Return the keys in the chosen state; an unknown one is ignored."""
        state = self.value()
        if state not in set(KeyState):
            return queryset
        return queryset.filter(SigningKey.in_state(KeyState(state), timezone.now()))


class AlgorithmFilter(admin.SimpleListFilter):
    """Keys of an algorithm; the choices are those of the stored keys."""

    title = _("algorithm")
    parameter_name = "algorithm"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, str]]:
        """Return the algorithms of the stored keys."""
        stored = SigningKey.objects.order_by("algorithm").values_list("algorithm", flat=True).distinct()
        return [(name, name) for name in stored]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SigningKey]) -> QuerySet[SigningKey]:
        """Return the keys of the chosen algorithm; an unknown one is ignored."""
        algorithm = self.value()
        return queryset.filter(algorithm=algorithm) if algorithm in dict(self.lookup_choices) else queryset
