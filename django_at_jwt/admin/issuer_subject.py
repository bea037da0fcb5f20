"""Issuer subjects in the admin: list, add and delete the links between subjects and users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextInputWidget
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_at_jwt.conf import app_settings
from django_at_jwt.core.subjects import UserMode
from django_at_jwt.models import IssuerSubject

from .base import ModelAdmin
from .confirmation import confirmation_context, is_confirmed
from .dates import format_instant
from .optimistic_lock import VersionedForm

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from django_at_jwt.conf.issuers import IssuerSettings


class IssuerSubjectForm(VersionedForm):
    """The form to add a row, with the configured issuers as choices."""

    issuer = forms.ChoiceField(
        label=_("Issuer"), help_text=_('One of AT_JWT["ISSUERS"] whose users are looked up in this table.')
    )

    class Meta:  # noqa: D106 - Django's own
        model = IssuerSubject
        fields: ClassVar = ["issuer", "subject", "user"]
        widgets: ClassVar = {"subject": AdminTextInputWidget}
        help_texts: ClassVar = {
            "subject": _("The sub claim of the issuer's tokens, compared exactly."),
            "user": _(
                "APIs of this site treat tokens with this subject as this user, with all of the user's permissions."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(entry.issuer, _label(entry)) for entry in app_settings().issuers]
        self.fields["issuer"].choices = [("", "---------"), *choices]  # type: ignore[attr-defined]


def _label(entry: IssuerSettings) -> str:
    if entry.user_mode is UserMode.STATELESS or entry.user_field is not None:
        return gettext("%(issuer)s (its users are not looked up here)") % {"issuer": entry.issuer}
    return entry.issuer


@admin.register(IssuerSubject)
class IssuerSubjectAdmin(ModelAdmin):
    """The user of each subject. Rows are added and deleted, but never changed to another user."""

    form = IssuerSubjectForm
    list_display = ("subject", "issuer", "user", "created")
    list_select_related = ("user",)
    search_fields = ("subject", "issuer")
    fieldsets = (
        (
            None,
            {
                "fields": ("issuer", "subject", "user", "created"),
                "description": _(
                    "A row lets tokens of the issuer with this subject act as the user at the APIs of this site. "
                    "Add one only if the issuer's subject and the user are the same person."
                ),
            },
        ),
    )
    readonly_fields = ("created",)
    raw_id_fields = ("user",)
    change_list_template = "admin/django_at_jwt/issuersubject/change_list.html"

    class Media:
        """The style of the empty list."""

        css: ClassVar = {"all": ["django_at_jwt/claim_mappers.css"]}

    @admin.display(description=IssuerSubject._meta.get_field("created_at").verbose_name, ordering="created_at")
    def created(self, row: IssuerSubject) -> str:
        """Return when the row was created."""
        return format_instant(row.created_at)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the user is a superuser: a row lets its subject authenticate as any chosen user."""
        return bool(getattr(request.user, "is_superuser", False)) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: IssuerSubject | None = None) -> bool:
        """Return ``False``: a change could move a subject to another account without a trace of the former one."""
        return False

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Ask for a confirmation before a subject can act as a superuser or a staff member."""
        is_added = request.method == "POST" and object_id is None and self.has_add_permission(request)
        page = self._review_page(request) if is_added else None
        return page or super().changeform_view(request, object_id, form_url, extra_context)

    def _review_page(self, request: HttpRequest) -> HttpResponse | None:
        """Return the page with the warning, or ``None`` if the row needs none or the warning was confirmed."""
        form = self.get_form(request, None, change=False)(request.POST)
        warning = _warning(form.instance) if form.is_valid() else None
        if warning is None or is_confirmed(request, warning):
            return None
        lines = [{"label": field.label, "after": str(form.cleaned_data[field.name])} for field in form.visible_fields()]
        context = {
            **self.admin_site.each_context(request),
            **confirmation_context(request, warning),
            "opts": self.opts,
            "title": _("Review changes"),
            "problems": [warning],
            "rows": [{"name": capfirst(str(self.opts.verbose_name)), "is_new": True, "lines": lines}],
            "may_go_back": True,
        }
        return TemplateResponse(request, "admin/django_at_jwt/confirm_change.html", context)


def _warning(row: IssuerSubject) -> str | None:
    """Return what to confirm before the row is added, or ``None`` for a user without access to the admin site."""
    names = {"issuer": row.issuer, "user": row.user}
    if getattr(row.user, "is_superuser", False):
        text = gettext(
            "%(user)s is a superuser. %(issuer)s, and anyone with one of its tokens for this subject, gets all "
            "permissions at this site's APIs."
        )
    elif getattr(row.user, "is_staff", False):
        text = gettext(
            "%(user)s is a staff member. %(issuer)s, and anyone with one of its tokens for this subject, gets the "
            "permissions of %(user)s at this site's APIs."
        )
    else:
        return None
    return text % names
