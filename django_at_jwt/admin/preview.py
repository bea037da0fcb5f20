"""The page that shows a token before anybody gets one: reached from users, clients, APIs and mappers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from oauth2_provider.models import get_application_model

from django_at_jwt.authorization_server.claims.messages import explained
from django_at_jwt.authorization_server.claims.preview import SIZE_MARKS, preview_access_token
from django_at_jwt.conf import token_user_model
from django_at_jwt.models import ClaimMapper, TokenPreview

from .optimistic_lock import BACK
from .preview_form import PREFIX, PreviewForm

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.http import HttpRequest, HttpResponse

    from django_at_jwt.authorization_server.claims.change_impact import ChangeImpact
    from django_at_jwt.authorization_server.claims.preview import Preview, PreviewRequest
    from django_at_jwt.core.claims import CompiledMappers

if TYPE_CHECKING:
    from django.http import HttpRequest

    _ModelAdmin = admin.ModelAdmin[TokenPreview]
else:
    _ModelAdmin = admin.ModelAdmin  # It is generic to the type checker alone.


@admin.register(TokenPreview)
class TokenPreviewAdmin(_ModelAdmin):
    """One page, which is about users, clients, APIs and mappers alike; in place of a list there is the preview."""

    def get_urls(self) -> list[URLPattern]:
        """Give the page under the name of the links to it, and under the name that the index looks for."""
        view = self.admin_site.admin_view(partial(preview_page, admin_site=self.admin_site))
        names = ("django_at_jwt_preview", f"{self.opts.app_label}_{self.opts.model_name}_changelist")
        return [path("", view, name=name) for name in names]

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Tell whether the index has a line for it."""
        return request.user.has_perm(PERMISSION)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Tell whether somebody may preview tokens."""
        return request.user.has_perm(PERMISSION)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """There is nothing to add."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """There is nothing to change."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """There is nothing to delete."""
        return False


def record_preview(request: HttpRequest, effects: ChangeImpact) -> None:
    """Record that the claims of the users in a sample were shown, as far as there were any to show."""
    users = {effect.token.user.pk: effect.token.user for effect in effects.tokens if effect.token.user is not None}
    if users and request.user.pk is not None:
        message = _("Claims in access tokens were previewed.")
        LogEntry.objects.log_actions(request.user.pk, users.values(), CHANGE, message)


PERMISSION = "django_at_jwt.preview_claimmapper"
_TEMPLATE = "admin/django_at_jwt/preview/page.html"


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A part of the bar: what it is, its bytes, and where it begins and its width in percent of the whole bar."""

    name: str
    label: str
    bytes: int
    left: float
    width: float


def preview_page(
    request: HttpRequest, admin_site: AdminSite, *, mappers: CompiledMappers | None = None, title: str = ""
) -> HttpResponse:
    """Ask whose token to preview and, when that was sent by POST, show it and record who looked.

    A page with a form of its own, such as a mapper's, may call this for its own POST, with the mappers as they would
    be: what was sent to it is sent again with each preview, to the same address.

    Raises:
        PermissionDenied: the user may not preview access tokens.
    """
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    sent = any(name.startswith(f"{PREFIX}-") for name in request.POST)
    initial = {} if request.method == "POST" else _initial(request, admin_site)
    form = PreviewForm(request.POST if sent else None, request=request, admin_site=admin_site, initial=initial)
    context: dict[str, Any] = {
        **admin_site.each_context(request),
        "title": title or _("Preview an access token"),
        "opts": ClaimMapper._meta,
        "form": form,
        "media": form.media,
        "carried": [(name, value) for name, values in request.POST.lists() for value in values if _is_carried(name)],
        "is_unsaved": mappers is not None,
        "back": BACK,
    }
    if sent and form.is_valid():
        asked = form.request(mappers)
        preview = preview_access_token(asked)
        _record(request, asked)
        context |= {"asked": asked, **_shown(preview)}
    # What "admin:" means in the template, on a site with several admin sites.
    request.current_app = admin_site.name
    return TemplateResponse(request, _TEMPLATE, context)


def _is_carried(name: str) -> bool:
    return name != "csrfmiddlewaretoken" and not name.startswith(f"{PREFIX}-")


def _initial(request: HttpRequest, admin_site: AdminSite) -> dict[str, Any]:
    """Take what a link names, and only rows that the administrator may look at anyway."""
    initial: dict[str, Any] = {}
    models = {"user": token_user_model(), "client": get_application_model()}
    for name, model in models.items():
        registered = admin_site._registry.get(model)
        row = registered.get_object(request, request.GET[name]) if registered and name in request.GET else None
        if registered and row is not None and registered.has_view_permission(request, row):
            initial |= {name: row.pk, **({"user_name": row.pk} if name == "user" else {"client_id": row.client_id})}
    return initial


def _record(request: HttpRequest, asked: PreviewRequest) -> None:
    """Write into the admin's history who looked at whose token. No claim is written."""
    about = asked.client if asked.user is None else asked.user
    names = {"client": asked.client.client_id, "grant": asked.grant}
    parts = [_("An access token of client %(client)s by %(grant)s was previewed.") % names]
    if asked.resources:
        parts.append(_("APIs: %(names)s.") % {"names": " ".join(asked.resources)})
    if asked.scopes:
        parts.append(_("Scopes: %(names)s.") % {"names": " ".join(asked.scopes)})
    if asked.mappers is not None:
        parts.append(_("It was with changes to claim mappers that were not saved."))
    LogEntry.objects.log_actions(cast("int", request.user.pk), [about], CHANGE, " ".join(parts), single_object=True)


def _shown(preview: Preview) -> dict[str, Any]:
    return {
        "preview": preview,
        "claims": [(claim, _json(claim.value)) for claim in preview.claim_origins],
        "mappers": [(mapper, explained(mapper.step)) for mapper in preview.mappers],
        "header_json": _json(preview.header),
        "claims_json": _json(preview.claims),
        "segments": _segments(preview),
        "marks": [(mark, f"{mark // 1024} KiB", 100 * mark / _whole(preview)) for mark in SIZE_MARKS],
        "over": [
            f"{mark // 1024} KiB" for mark in SIZE_MARKS if preview.size is not None and preview.size.total > mark
        ],
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _whole(preview: Preview) -> int:
    """The bytes that the bar is long: a little more than the last mark, or the token."""
    total = 0 if preview.size is None else preview.size.total
    return max(total, SIZE_MARKS[-1] * 17 // 16)


def _segments(preview: Preview) -> list[Segment]:
    if preview.size is None:
        return []
    size, whole = preview.size, _whole(preview)
    parts = [
        ("header", _("header"), size.header),
        ("claims", _("claims"), size.claims),
        ("signature", _("signature"), size.signature),
    ]
    segments, before = [], 0
    for name, label, taken in parts:
        left, width = 100 * before / whole, 100 * taken / whole
        segments.append(Segment(name=name, label=label, bytes=taken, left=left, width=width))
        before += taken
    return segments
