"""Review pages: show the impact of a change before it is saved.

Submitting a form shows a review page, which submits the same values again to confirm them. If the values or any row
that determines claims differ by then, the review page is shown again.
"""

from __future__ import annotations

import time
from copy import copy
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.utils import unquote
from django.db import router, transaction
from django.http import HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_at_jwt.authorization_server.claims.change_impact import change_impact
from django_at_jwt.authorization_server.claims.configuration import ClaimConfiguration
from django_at_jwt.models import ClaimMapper, ResourceServer
from django_at_jwt.models.primary import primary_rows

from .base import ModelAdmin
from .confirmation import CONFIRMATION, confirmation_context, is_confirmed, submitted_values
from .optimistic_lock import BACK, version_of
from .preview import PREVIEW_PERMISSION, record_preview
from .request_changes import change_lines

if TYPE_CHECKING:
    from collections.abc import Collection

    from django.db.models import Model, QuerySet
    from django.forms import ModelForm
    from django.http import HttpRequest, HttpResponse


def lock_rows() -> str:
    """Lock all claim mappers and resource servers until the transaction ends, and return their version.

    Not prevented: SQLite has no row locks, so a change written at the same moment can go unnoticed there.
    """
    rows: list[Model] = []
    for model in (ClaimMapper, ResourceServer):
        rows += model._default_manager.using(router.db_for_write(model)).select_for_update().order_by("pk")
    return version_of(*rows)


class ConfirmingAdmin(ModelAdmin):
    """An admin that shows a review page before it saves or deletes. Subclasses apply the change to a configuration."""

    confirm_template = "admin/django_at_jwt/confirm_change.html"
    delete_confirmation_template = "admin/django_at_jwt/confirm_deletion.html"
    delete_selected_confirmation_template = "admin/django_at_jwt/confirm_deletion.html"
    actions = ("delete_selected",)
    # Labels listed for a new row even if their values are the defaults.
    always_listed: frozenset[Any] = frozenset()

    class Media:
        """The style of the review pages."""

        css = {"all": ["django_at_jwt/claim_mappers.css"]}

    def apply_change(self, now: ClaimConfiguration, *, before: list[Any], after: list[Any]) -> ClaimConfiguration:
        """Return the configuration with the rows ``before``, as stored, replaced by the rows ``after``."""
        raise NotImplementedError

    def consequences(self, before: list[Any], after: list[Any]) -> list[str]:
        """Return what saving or deleting the rows breaks in addition to its impact on new tokens."""
        return []

    def describe(self, row: Any) -> list[tuple[Any, str]]:
        """Return labels and texts that describe a row; the labels are the same for every row."""
        raise NotImplementedError

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the review page of a submitted form, and save the form once that is confirmed."""
        if request.method != "POST":
            return super().changeform_view(request, object_id, form_url, extra_context)
        with transaction.atomic(using=router.db_for_write(self.model)):
            version = lock_rows()
            if not is_confirmed(request, version):
                page = self._review_form(request, object_id, version)
                if page is not None:
                    return page
            return super().changeform_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's own
        """Save the row, and keep what it was for the message in its history."""
        form.stored_rows = list(primary_rows(self.model).filter(pk=obj.pk)) if change else []
        super().save_model(request, obj, form, change)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:  # noqa: FBT001, FBT002 - Django's own
        """Return what changed, with the values before and after; Django names the fields only."""
        lines = [] if add else [line for row in self._rows(form.stored_rows, [form.instance]) for line in row["lines"]]
        if not lines:
            return super().construct_change_message(request, form, formsets, add)
        text = gettext("%(field)s changed from “%(before)s” to “%(after)s”.")
        none = gettext("(none)")
        return " ".join(
            text
            % {
                "field": capfirst(line["label"]),
                "before": line["before"] or none,
                "after": line["after"] or none,
            }
            for line in lines
        )

    def render_change_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the page of the form, with a notice if the user returned to it from another page without saving."""
        if BACK in request.POST:
            self.message_user(request, _("Your changes are not saved yet."), messages.INFO)
        return super().render_change_form(request, *args, **kwargs)

    def submitted_row(self, request: HttpRequest, object_id: str | None) -> tuple[list[Any], Any] | None:
        """Return the stored row, in a list that is empty for a new row, and the row the form would save.

        Returns:
            ``None`` if Django itself rejects the form: it is not allowed or not valid.
        """
        row = None if object_id is None else self.get_object(request, unquote(object_id))
        may = self.has_add_permission(request) if row is None else self.has_change_permission(request, row)
        if not may or (row is None and object_id is not None):
            return None
        stored = [] if row is None else [copy(row)]
        form: ModelForm[Any] = self.get_form(request, row, change=row is not None, fields=None)(
            request.POST, request.FILES, instance=row
        )
        return (stored, form.instance) if form.is_valid() else None

    def _review_form(self, request: HttpRequest, object_id: str | None, version: str) -> HttpResponse | None:
        """Return the review page of a form, or ``None`` if there is nothing to review."""
        submitted = self.submitted_row(request, object_id)
        if submitted is None:
            return None
        stored, row = submitted
        now = ClaimConfiguration.stored()
        # A change that cannot affect tokens, such as that of a note, is saved without a review.
        if stored and self.apply_change(now, before=stored, after=[row]) == now:
            return None
        context = {"may_go_back": True}
        return self.review_page(request, before=stored, after=[row], version=version, context=context)

    def review_page(
        self,
        request: HttpRequest,
        *,
        before: list[Any],
        after: list[Any],
        version: str,
        context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Return the review page for replacing rows."""
        now = ClaimConfiguration.stored()
        then = self.apply_change(now, before=before, after=after)
        if CONFIRMATION in request.POST:
            text = _("The data changed since you opened this page. Review the updated impact.")
            self.message_user(request, text, messages.WARNING)
        context = {
            **self.admin_site.each_context(request),
            **self.impact_context(request, now, then, version=version),
            "opts": self.opts,
            "title": _("Review changes"),
            "rows": self._rows(before, after),
            "consequences": self.consequences(before, after),
            **(context or {}),
        }
        return TemplateResponse(request, self.confirm_template, context)

    def hidden_changes(self, before: Any, after: Any) -> Collection[Any]:
        """Return the labels of values that differ although their descriptions may not."""
        return ()

    def _rows(self, before: list[Any], after: list[Any]) -> list[dict[str, Any]]:
        """Return the differences of each row; for a new row, those from the defaults."""
        defaults = self.describe(self.model())
        stored = {row.pk: row for row in before}
        rows = []
        for row in after:
            old = self.describe(stored[row.pk]) if row.pk in stored else None
            new = self.describe(row)
            # With texts that are the same before and after.
            always_listed = self.hidden_changes(stored[row.pk], row) if old else self.always_listed
            lines = [
                {"label": label, "before": old[place][1] if old else "", "after": text}
                for place, (label, text) in enumerate(new)
                if text != (old or defaults)[place][1] or label in always_listed
            ]
            rows.append({"name": str(row), "is_new": old is None, "lines": lines})
        return rows

    def impact_context(
        self,
        request: HttpRequest,
        now: ClaimConfiguration,
        then: ClaimConfiguration,
        *,
        version: str,
        sent: list[tuple[str, str]] | None = None,
    ) -> dict[str, Any]:
        """Return the template context of a change. Only users who may preview tokens see values."""
        shows_values = request.user.has_perm(PREVIEW_PERMISSION)
        impact = change_impact(now, then, now=time.time())
        if shows_values:
            record_preview(request, impact)
        return {
            "impact": impact,
            "breaks": change_lines(impact, breaking=True),
            "other_changes": change_lines(impact, breaking=False),
            "shows_values": shows_values,
            **confirmation_context(request, version, sent=sent),
        }

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the impact of deleting a row, and delete it once that is confirmed."""
        with transaction.atomic(using=router.db_for_write(self.model)):
            version = lock_rows()
            row = self.get_object(request, unquote(object_id))
            if row is None or not self.has_delete_permission(request, row):
                return super().delete_view(request, object_id, extra_context)
            if request.method == "POST":
                if is_confirmed(request, version):
                    return super().delete_view(request, object_id, extra_context)
                self._warn_not_deleted(request)
                return HttpResponseRedirect(request.path)
            context = self._deletion_context(request, [row], version, [("post", "yes")])
            return super().delete_view(request, object_id, {**context, **(extra_context or {})})

    @admin.action(permissions=["delete"], description=_("Delete selected %(verbose_name_plural)s"))
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Show the impact of deleting rows, and delete them once that is confirmed."""
        with transaction.atomic(using=router.db_for_write(self.model)):
            version = lock_rows()
            if request.POST.get("post"):
                if is_confirmed(request, version):
                    return delete_selected(self, request, queryset)
                self._warn_not_deleted(request)
                return HttpResponseRedirect(request.get_full_path())
            page = delete_selected(self, request, queryset)
            sent = [*submitted_values(request), ("post", "yes")]
            if isinstance(page, TemplateResponse) and page.context_data is not None:
                page.context_data |= self._deletion_context(request, list(queryset), version, sent)
            return page

    def _deletion_context(
        self, request: HttpRequest, rows: list[Any], version: str, sent: list[tuple[str, str]]
    ) -> dict[str, Any]:
        now = ClaimConfiguration.stored()
        then = self.apply_change(now, before=rows, after=[])
        return {
            "deleted": rows,
            "consequences": self.consequences(rows, []),
            **self.impact_context(request, now, then, version=version, sent=sent),
        }

    def _warn_not_deleted(self, request: HttpRequest) -> None:
        text = _("Nothing was deleted: the data changed since you opened this page. Review the updated impact.")
        self.message_user(request, text, messages.WARNING)
