"""What a mapper did for a token, in a sentence for administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_at_jwt.core.claims import ConditionName, FailureReason, MapperOutcome

if TYPE_CHECKING:
    from django_at_jwt.core.claims import MapperStep

_UNMET: Final = {
    ConditionName.TOKENS_FOR: gettext_lazy("left out: it is for users alone, or for clients that act for themselves"),
    ConditionName.CLIENT: gettext_lazy("left out: it is for other clients"),
    ConditionName.SCOPE: gettext_lazy("left out: it needs scopes that are not granted"),
    ConditionName.RESOURCE_SERVER: gettext_lazy("left out: it is for other APIs"),
    ConditionName.GRANT: gettext_lazy("left out: it is for other grants"),
    ConditionName.USER_GROUP: gettext_lazy("left out: the user is in none of its groups"),
}
_FAILURES: Final = {
    FailureReason.UNUSABLE_RULE: gettext_lazy("it cannot be used"),
    FailureReason.NO_VALUE: gettext_lazy("there is no value, and it must have one"),
    FailureReason.SOURCE_FAILED: gettext_lazy("its source failed"),
    FailureReason.WRONG_TYPE: gettext_lazy("the value is of another type"),
    FailureReason.NOT_JSON: gettext_lazy("the value cannot be written as JSON"),
    FailureReason.TOO_LARGE: gettext_lazy("the value is too large"),
    FailureReason.CONFLICT: gettext_lazy("it does not go together with what another mapper has set"),
}


def _failed(step: MapperStep) -> str:
    """Say it in the reader's language, with the words of the log, which are English, beside it."""
    if step.failure is None:
        return _("failed")
    return _("failed: %(reason)s (%(detail)s)") % {"reason": _FAILURES[step.failure], "detail": step.detail}


def explained(step: MapperStep) -> str:
    """Say what a mapper did or, if it did nothing, why; no value is told."""
    if step.outcome is MapperOutcome.SKIPPED and step.condition is not None:
        return str(_UNMET[step.condition])
    return {
        MapperOutcome.SET: _("set"),
        MapperOutcome.DISABLED: _("left out: it is disabled"),
        MapperOutcome.NO_VALUE: _("left out: there is no value"),
        MapperOutcome.LOST: _("lost to “%s”") % step.lost_to,
        MapperOutcome.FAILED: _failed(step),
        MapperOutcome.DROPPED: _("dropped: the claims were too large"),
    }[step.outcome]
