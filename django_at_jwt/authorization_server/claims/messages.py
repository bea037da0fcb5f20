"""Messages for administrators about what a claim mapper did for a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_at_jwt.core.claims import ConditionName, FailureReason, MapperOutcome

if TYPE_CHECKING:
    from django_at_jwt.core.claims import MapperStep

_UNMET: Final = {
    ConditionName.TOKENS_FOR: gettext_lazy("skipped: kind of token (user or client) does not match"),
    ConditionName.CLIENT: gettext_lazy("skipped: client does not match"),
    ConditionName.SCOPE: gettext_lazy("skipped: required scopes are not granted"),
    ConditionName.RESOURCE_SERVER: gettext_lazy("skipped: API does not match"),
    ConditionName.GRANT: gettext_lazy("skipped: grant does not match"),
    ConditionName.USER_GROUP: gettext_lazy("skipped: user is not in a matching group"),
}
_FAILURES: Final = {
    FailureReason.UNUSABLE_RULE: gettext_lazy("the rule is invalid"),
    FailureReason.NO_VALUE: gettext_lazy("a required value is missing"),
    FailureReason.SOURCE_FAILED: gettext_lazy("the source failed"),
    FailureReason.WRONG_TYPE: gettext_lazy("the value has the wrong type"),
    FailureReason.NOT_JSON: gettext_lazy("the value cannot be encoded as JSON"),
    FailureReason.TOO_LARGE: gettext_lazy("the value is too large"),
    FailureReason.CONFLICT: gettext_lazy("conflict with a claim set by another mapper"),
}


def _failed(step: MapperStep) -> str:
    """Return the translated reason followed by the detail of the log, which is in English."""
    if step.failure is None:
        return _("failed")
    return _("failed: %(reason)s (%(detail)s)") % {"reason": _FAILURES[step.failure], "detail": step.detail}


def explained(step: MapperStep) -> str:
    """Return what a mapper did or why it did nothing, without the value."""
    if step.outcome is MapperOutcome.SKIPPED and step.condition is not None:
        return str(_UNMET[step.condition])
    return {
        MapperOutcome.SET: _("set"),
        MapperOutcome.DISABLED: _("skipped: mapper is disabled"),
        MapperOutcome.NO_VALUE: _("left out: value is missing"),
        MapperOutcome.LOST: _("overridden by “%s”") % step.lost_to,
        MapperOutcome.FAILED: _failed(step),
        MapperOutcome.DROPPED: _("dropped: claims are too large"),
    }[step.outcome]
