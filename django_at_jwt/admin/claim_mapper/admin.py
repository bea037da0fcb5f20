"""Claim mappers in the admin. Every change is reviewed before it is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import router, transaction
from django.db.models.constants import LOOKUP_SEP
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from django_at_jwt.admin.change_review import ConfirmingAdmin, lock_rows
from django_at_jwt.admin.confirmation import is_confirmed
from django_at_jwt.admin.preview import PREVIEW_PERMISSION, preview_page
from django_at_jwt.admin.search_fields import SearchAdminMixin
from django_at_jwt.authorization_server.claims.configuration import ClaimConfiguration
from django_at_jwt.conf import app_settings
from django_at_jwt.core.claims import Conditions
from django_at_jwt.core.claims.presets import READY_MADE
from django_at_jwt.models import ClaimMapper

from .display import (
    TRANSFORMS,
    VALUE,
    MapperSummary,
    Names,
    describe,
    summaries,
    why_never_applied,
)
from .form import SEARCHES, SOURCE_KINDS, ClaimMapperForm

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from django.db.models import QuerySet

    _ModelForm = forms.ModelForm[ClaimMapper]
else:
    _ModelForm = forms.ModelForm  # Not generic at run time.

READY_MADE_LABELS = {
    "profile": _("profile"),
    "email": _("e-mail"),
    "groups": _("groups"),
    "roles": _("roles"),
    "entitlements": _("entitlements"),
}


# The name of the button that previews a token with the unsaved form.
PREVIEW = "_preview"
FURTHER_CONDITIONS = ("clients", "groups", "grants")


class RowForm(_ModelForm):
    """A row of the list, where order and enabled can be changed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            # The heading of the column labels no input.
            labels = {"field": field.label, "name": self.instance.name}
            field.widget.attrs["aria-label"] = gettext("%(field)s of %(name)s") % labels

    def add_error(self, field: str | None, error: Any) -> None:
        """Add an error unless it is about fields outside the list, so that an invalid mapper can be disabled."""
        problems = getattr(error, "error_dict", None)
        if field is None and problems is not None:
            error = ValidationError({name: each for name, each in problems.items() if name in self.fields})
            if not error.error_dict:
                return
        super().add_error(field, error)


class SourceFilter(admin.SimpleListFilter):
    """Filters the list by the kind of source."""

    title = _("source")
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        """Return the kinds of sources. A fixed text is a fixed value."""
        return [(kind, label) for kind, label in SOURCE_KINDS.items() if kind not in {"text", "constant"}] + [
            ("constant", _("fixed value"))
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ClaimMapper]) -> QuerySet[ClaimMapper]:
        """Return the mappers with the chosen kind of source."""
        return queryset.filter(source__kind=self.value()) if self.value() else queryset


@admin.register(ClaimMapper)
class ClaimMapperAdmin(SearchAdminMixin, ConfirmingAdmin):
    """Claim mappers, listed below those declared in the settings."""

    form = ClaimMapperForm
    searches = SEARCHES
    always_listed = frozenset({ClaimMapper._meta.get_field("conditions").verbose_name})
    change_form_template = "admin/django_at_jwt/claimmapper/change_form.html"
    change_list_template = "admin/django_at_jwt/claimmapper/change_list.html"
    list_display = ("name", "claim", "value", "conditions_or_problem", "order", "enabled")
    list_display_links = ("name",)
    list_editable = ("order", "enabled")
    list_filter = ("enabled", "required", SourceFilter)
    list_per_page = 30
    search_fields = ("name", "claim", "note")
    fieldsets = (
        (None, {"fields": ("name", "claim", "note", "enabled")}),
        (
            _("Source"),
            {
                "fields": (
                    "source_kind",
                    "source_user",
                    "source_template",
                    "source_text",
                    "source_constant",
                    "source_client",
                    "source_resource_server",
                    "source_claim",
                    "source_registered",
                ),
                "description": _("Only the field of the chosen source is used."),
            },
        ),
        (_("Transforms"), {"fields": ("transforms", "type")}),
        (_("Missing values"), {"fields": ("when_missing", "default", "required")}),
        (
            _("Conditions"),
            {
                "fields": ("tokens_for", "scopes", "scopes_match", "resource_servers"),
                "description": _("All conditions must be met. An empty condition is always met."),
            },
        ),
        (_("More conditions: clients, groups and grants"), {"fields": FURTHER_CONDITIONS}),
        (_("Conflicts with other mappers"), {"fields": ("order", "merge", "version")}),
    )

    class Media:
        """The script shows only the fields of the chosen source; without it, all are shown."""

        css = {"all": ["django_at_jwt/claim_mappers.css", "django_at_jwt/wide_lists.css"]}
        js = ["django_at_jwt/claim_mapper.js"]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Preview a token with the unsaved mapper if requested; otherwise, show the form."""
        submitted = (
            self.submitted_row(request, object_id) if request.method == "POST" and PREVIEW in request.POST else None
        )
        if submitted is None:
            may_preview = request.user.has_perm(PREVIEW_PERMISSION)
            context = {"preview_name": PREVIEW, "may_preview": may_preview, **(extra_context or {})}
            return super().changeform_view(request, object_id, form_url, context)
        before, row = submitted
        mappers = self.apply_change(ClaimConfiguration.stored(), before=before, after=[row]).mappers
        title = gettext("Preview an access token with the unsaved mapper “%(name)s”") % {"name": row.name}
        conditions = row.rule_or_broken().conditions
        return preview_page(
            request,
            self.admin_site,
            search_url=self.search_urls()["resource_servers"],
            mappers=mappers,
            conditions=conditions,
            title=title,
        )

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse filters by transforms: they would reveal the key of a hash character by character."""
        field = lookup.partition(LOOKUP_SEP)[0]
        return field != "transforms" and super().lookup_allowed(lookup, value, request)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list; the rows of the page are summarised together."""
        changelist = super().get_changelist_instance(request)
        found = summaries(changelist.result_list)
        for mapper in changelist.result_list:
            mapper.summary = found[mapper.name]
        return changelist

    @admin.display(description=_("value"))
    def value(self, mapper: ClaimMapper) -> str:
        """Return a description of the value."""
        return _summary(mapper).value

    @admin.display(description=_("conditions"))
    def conditions_in_words(self, mapper: ClaimMapper) -> str:
        """Return a description of the conditions."""
        return _summary(mapper).conditions

    @admin.display(description=_("conditions"))
    def conditions_or_problem(self, mapper: ClaimMapper) -> str:
        """Return a description of the conditions, and why the mapper is not applied as written."""
        problem = self.problem(mapper)
        return format_html("{}<br>{}" if problem else "{}", _summary(mapper).conditions, problem)

    @admin.display(description=_("problem"))
    def problem(self, mapper: ClaimMapper) -> str:
        """Return why the mapper is not applied as written."""
        problem = _summary(mapper).problem
        return format_html('<span class="at-jwt-problem">{}</span>', problem) if problem else ""

    def get_fieldsets(self, request: HttpRequest, obj: ClaimMapper | None = None) -> Any:
        """Return sentences instead of the form for users who may only view the mapper."""
        if obj is not None and not self.has_change_permission(request, obj):
            in_words = ("value", "conditions_in_words")
            plain = ("type", "when_missing", "default", "required", "merge", "order")
            return ((None, {"fields": ("name", "claim", "note", "enabled", *in_words, *plain, "problem")}),)
        sets = super().get_fieldsets(request, obj)
        conditions = Conditions() if obj is None else obj.rule_or_broken().conditions
        if request.method == "POST" or any(getattr(conditions, name) for name in FURTHER_CONDITIONS):
            return sets
        # Few mappers need these conditions: collapse them unless one is set.
        return [
            (name, {**options, "classes": ["collapse"]} if options["fields"] == FURTHER_CONDITIONS else options)
            for name, options in sets
        ]

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the form of a row of the list."""
        return super().get_changelist_form(request, **{"form": RowForm, **kwargs})

    def apply_change(
        self, now: ClaimConfiguration, *, before: list[ClaimMapper], after: list[ClaimMapper]
    ) -> ClaimConfiguration:
        """Return the configuration with some mappers replaced."""
        rules = (row.rule_or_broken() for row in after)
        return now.with_rules(rules, in_place_of={row.name for row in before})

    def describe(self, row: ClaimMapper) -> list[tuple[Any, str]]:
        """Return labels and texts that describe a mapper."""
        return describe(row, Names.of([row.rule_or_broken().conditions]))

    def hidden_changes(self, before: ClaimMapper, after: ClaimMapper) -> Collection[Any]:
        """Return the labels of a source and transforms that differ, if only in a secret or in the cut end of a text."""
        old, new = before.rule_or_broken(), after.rule_or_broken()
        differing = {VALUE: old.source != new.source, TRANSFORMS: old.transforms != new.transforms}
        return [label for label, differs in differing.items() if differs]

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs, with those of the ready-made sets."""
        view = self.admin_site.admin_view(self.ready_made_view)
        return [
            path("ready-made/<str:name>/", view, name="django_at_jwt_claimmapper_ready_made"),
            *super().get_urls(),
        ]

    def ready_made_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """Review the mappers of a set that do not exist yet; add them once that is confirmed."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if name not in READY_MADE:
            raise Http404
        with transaction.atomic(using=router.db_for_write(ClaimMapper)):
            version = lock_rows()
            rows, problems = _ready_made_rows(name)
            if request.method != "POST" or not is_confirmed(request, version):
                context = {"problems": problems, "title": _("Add the ready-made set “%s”") % READY_MADE_LABELS[name]}
                return self.review_page(request, before=[], after=rows, version=version, context=context)
            for row in rows:
                row.save()
                self.log_addition(request, row, [{"added": {}}])
        text = ngettext("%(number)d claim mapper was added.", "%(number)d claim mappers were added.", len(rows))
        self.message_user(request, text % {"number": len(rows)}, messages.SUCCESS)
        return HttpResponseRedirect(self.page_url("changelist"))

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the form field; the order field gets a class that keeps it narrow in the list."""
        formfield = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "order" and isinstance(formfield, forms.Field):
            formfield.widget.attrs["class"] = "at-jwt-order"
        return formfield

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list below the declared mappers; review a change of its rows before it is saved."""
        if request.method == "POST" and "_save" in request.POST and self.has_change_permission(request):
            with transaction.atomic(using=router.db_for_write(ClaimMapper)):
                version = lock_rows()
                page = None if is_confirmed(request, version) else self._review_list(request, version)
                return page or self._list(request, extra_context)
        return self._list(request, extra_context)

    def _review_list(self, request: HttpRequest, version: str) -> HttpResponse | None:
        formset = self.get_changelist_formset(request)(request.POST, queryset=self.get_queryset(request))
        if not formset.is_valid():
            return None
        changed = [form.instance for form in formset.forms if form.has_changed()]
        stored = ClaimMapper._base_manager.filter(pk__in=[row.pk for row in changed])
        return self.review_page(request, before=list(stored), after=changed, version=version)

    def _list(self, request: HttpRequest, extra_context: dict[str, Any] | None) -> HttpResponse:
        declared = sorted(app_settings().claim_mappers, key=lambda rule: (rule.order, rule.key))
        names = Names.of(rule.conditions for rule in declared)
        context = {
            "declared": [(rule, MapperSummary.of(rule, names)) for rule in declared],
            "ready_made": READY_MADE_LABELS,
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})


def _summary(mapper: Any) -> MapperSummary:
    """Return the summary of a mapper, which the list has made for all its rows."""
    summary: MapperSummary | None = getattr(mapper, "summary", None)
    return summary or summaries([mapper])[mapper.name]


def _ready_made_rows(name: str) -> tuple[list[ClaimMapper], list[str]]:
    """Return the mappers of a set that can be added, and the problems."""
    rows, problems, names = [], [], Names.of()
    for data in READY_MADE[name]:
        row = ClaimMapper(**data)
        try:
            row.full_clean()
        except ValidationError as error:
            problems.append(f"{row.name}: {' '.join(error.messages)}")
        else:
            rows.append(row)
            if problem := why_never_applied(row.rule, names):
                problems.append(f"{row.name}: {problem}")
    return rows, problems
