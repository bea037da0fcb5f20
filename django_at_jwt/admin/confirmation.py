"""Changes that are shown before they are made: the same values are sent twice, and signed in between.

A form that is sent is answered with a page that shows what it would do. That page sends the same values again, with a
token that says which values they were, who was shown what they do, and how everything was that decides about claims. If
one of these is another one by then, the page is shown anew.
"""

from __future__ import annotations

import hashlib
import json
import time
from copy import copy
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.utils import unquote
from django.core import signing
from django.db import router, transaction
from django.http import HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from django_at_jwt.authorization_server.claims.change_impact import change_impact
from django_at_jwt.authorization_server.claims.configuration import ClaimConfiguration
from django_at_jwt.models import ClaimMapper, ResourceServer

from .optimistic_lock import BACK, version_of
from .preview import record_preview

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models import Model, QuerySet
    from django.forms import ModelForm
    from django.http import HttpRequest, HttpResponse

    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin  # It is generic to the type checker alone.

CONFIRMATION: Final = "_shown"
PREVIEW_PERMISSION: Final = "django_at_jwt.preview_claimmapper"
_SALT: Final = "django_at_jwt.admin.confirmation"
_MAX_AGE: Final = 3600
_NOT_SENT_AGAIN: Final = frozenset({"csrfmiddlewaretoken", CONFIRMATION, BACK})


def lock_rows() -> str:
    """Keep others from changing what decides about claims until the transaction ends, and give its version.

    SQLite has no locks of rows; there a change that comes in between is seen unless it is written in the same moment.
    """
    rows: list[Model] = []
    for model in (ClaimMapper, ResourceServer):
        rows += model._default_manager.using(router.db_for_write(model)).select_for_update().order_by("pk")
    return version_of(*rows)


def sent_values(request: HttpRequest) -> Iterator[tuple[str, str]]:
    """Give the values of a form, each with its name, to be sent again."""
    for name, values in request.POST.lists():
        if name not in _NOT_SENT_AGAIN:
            for value in values:
                yield name, str(value)


def _stamp(request: HttpRequest, version: str, sent: Iterable[tuple[str, str]]) -> dict[str, Any]:
    values = json.dumps([request.path, *sorted(sent)])
    return {"user": str(request.user.pk), "sent": hashlib.sha256(values.encode()).hexdigest(), "version": version}


def is_confirmed(request: HttpRequest, version: str) -> bool:
    """Tell whether the user was shown what these very values do, with everything as it is now."""
    try:
        shown = signing.loads(request.POST.get(CONFIRMATION, ""), salt=_SALT, max_age=_MAX_AGE)
    except signing.BadSignature:
        return False
    return bool(shown == _stamp(request, version, sent_values(request)))


class ConfirmingAdmin(_ModelAdmin):
    """An admin whose saving and deleting is shown first. A subclass says what a change makes of the arrangement."""

    confirm_template = "admin/django_at_jwt/confirm_change.html"
    delete_confirmation_template = "admin/django_at_jwt/confirm_deletion.html"
    delete_selected_confirmation_template = "admin/django_at_jwt/confirm_deletion.html"
    actions = ("delete_selected",)
    # The labels of what is said of a new row although it is as it is by default.
    always_told: frozenset[Any] = frozenset()

    class Media:
        """What the pages look like that show a change."""

        css = {"all": ["django_at_jwt/claim_mappers.css"]}

    def apply_change(self, now: ClaimConfiguration, *, before: list[Any], after: list[Any]) -> ClaimConfiguration:
        """Give the arrangement after some rows were replaced; ``before`` as they are stored."""
        raise NotImplementedError

    def described(self, row: Any) -> list[tuple[Any, str]]:
        """Give a row in words: labels, each with a text. The labels of all rows are the same."""
        raise NotImplementedError

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show what a form would do, and save it when that was confirmed."""
        if request.method != "POST":
            return super().changeform_view(request, object_id, form_url, extra_context)
        with transaction.atomic(using=router.db_for_write(self.model)):
            version = lock_rows()
            if not is_confirmed(request, version):
                page = self._page_for_form(request, object_id, version)
                if page is not None:
                    return page
            return super().changeform_view(request, object_id, form_url, extra_context)

    def sent_row(self, request: HttpRequest, object_id: str | None) -> tuple[list[Any], Any] | None:
        """Give the stored row, if there is one, and what a form would make of it; store nothing.

        Returns:
            ``None`` where Django has an answer to the form already: it is not allowed, or not valid.
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

    def _page_for_form(self, request: HttpRequest, object_id: str | None, version: str) -> HttpResponse | None:
        """The page that shows what a form would do, or ``None`` where there is nothing to show."""
        sent = self.sent_row(request, object_id)
        if sent is None:
            return None
        stored, row = sent
        if stored and not self._matters(row, stored[0]):
            return None
        context = {"may_go_back": True}
        return self.page_for_change(request, before=stored, after=[row], version=version, context=context)

    def _matters(self, row: Any, stored: Any) -> bool:
        """Tell whether a changed row makes any difference to tokens; a note does not."""
        now = ClaimConfiguration.stored()
        return self.apply_change(now, before=[stored], after=[row]) != now

    def page_for_change(
        self,
        request: HttpRequest,
        *,
        before: list[Any],
        after: list[Any],
        version: str,
        context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Give the page that shows what replacing rows does."""
        now = ClaimConfiguration.stored()
        then = self.apply_change(now, before=before, after=after)
        if CONFIRMATION in request.POST:
            text = _("Something was changed in the meantime. This is what it does now.")
            self.message_user(request, text, messages.WARNING)
        whole = {
            **self.admin_site.each_context(request),
            **self.shown(request, now, then, version=version, sent=list(sent_values(request))),
            "opts": self.opts,
            "media": self.media,
            "title": _("This is what it does"),
            "rows": self._rows(before, after),
            **(context or {}),
        }
        return TemplateResponse(request, self.confirm_template, whole)

    def _rows(self, before: list[Any], after: list[Any]) -> list[dict[str, Any]]:
        """What is different in each row; of a new one, what is not as it is by default."""
        plain = self.described(self.model())
        stored = {row.pk: row for row in before}
        rows = []
        for row in after:
            old = self.described(stored[row.pk]) if row.pk in stored else None
            new = self.described(row)
            lines = [
                {"label": label, "before": old[place][1] if old else "", "after": text}
                for place, (label, text) in enumerate(new)
                if text != (old or plain)[place][1] or (not old and label in self.always_told)
            ]
            rows.append({"name": str(row), "is_new": old is None, "lines": lines})
        return rows

    def shown(
        self,
        request: HttpRequest,
        now: ClaimConfiguration,
        then: ClaimConfiguration,
        *,
        version: str,
        sent: list[tuple[str, str]],
    ) -> dict[str, Any]:
        """Give what the templates show of a change. Values are for those who may preview tokens."""
        shows_values = request.user.has_perm(PREVIEW_PERMISSION)
        effects = change_impact(now, then, now=time.time())
        if shows_values:
            record_preview(request, effects)
        return {
            "effects": effects,
            "shows_values": shows_values,
            "sent": sent,
            "back": BACK,
            "confirmation_name": CONFIRMATION,
            "confirmation": signing.dumps(_stamp(request, version, sent), salt=_SALT),
        }

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what deleting a row does, and delete it when that was confirmed."""
        with transaction.atomic(using=router.db_for_write(self.model)):
            version = lock_rows()
            row = self.get_object(request, unquote(object_id))
            if row is None or not self.has_delete_permission(request, row):
                return super().delete_view(request, object_id, extra_context)
            if request.method == "POST":
                if is_confirmed(request, version):
                    return super().delete_view(request, object_id, extra_context)
                self._say_that_it_is_not_done(request)
                return HttpResponseRedirect(request.path)
            context = self._shown_of_deletion(request, [row], version, [("post", "yes")])
            return super().delete_view(request, object_id, {**context, **(extra_context or {})})

    @admin.action(permissions=["delete"], description=_("Delete selected %(verbose_name_plural)s"))
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Show what deleting rows does, and delete them when that was confirmed."""
        with transaction.atomic(using=router.db_for_write(self.model)):
            version = lock_rows()
            if request.POST.get("post"):
                if is_confirmed(request, version):
                    return delete_selected(self, request, queryset)
                self._say_that_it_is_not_done(request)
                return HttpResponseRedirect(request.get_full_path())
            page = delete_selected(self, request, queryset)
            sent = [*sent_values(request), ("post", "yes")]
            if isinstance(page, TemplateResponse) and page.context_data is not None:
                page.context_data |= self._shown_of_deletion(request, list(queryset), version, sent)
            return page

    def _shown_of_deletion(
        self, request: HttpRequest, rows: list[Any], version: str, sent: list[tuple[str, str]]
    ) -> dict[str, Any]:
        now = ClaimConfiguration.stored()
        then = self.apply_change(now, before=rows, after=[])
        return {"deleted": rows, **self.shown(request, now, then, version=version, sent=sent)}

    def _say_that_it_is_not_done(self, request: HttpRequest) -> None:
        text = _("Nothing was deleted: something was changed in the meantime. Look at what it does now.")
        self.message_user(request, text, messages.WARNING)
