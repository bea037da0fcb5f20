"""The page that previews an access token, linked from users, clients, APIs and claim mappers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

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
from django_at_jwt.models import ClaimMapper, ResourceServer, TokenPreview

from .base import ReadOnlyModelAdmin
from .optimistic_lock import BACK
from .preview_form import PREFIX, PreviewForm, request_for_mapper, request_for_resource_server
from .search_fields import SEARCH_LABELS, SearchAdminMixin
from .searchable import ResourceServers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.contrib.admin import AdminSite
    from django.http import HttpRequest, HttpResponse

    from django_at_jwt.authorization_server.claims.change_impact import ChangeImpact
    from django_at_jwt.authorization_server.claims.preview import Preview
    from django_at_jwt.core.claims import CompiledMappers, Conditions


# The template preview/link.html, which other models' pages include, checks the same permission.
PREVIEW_PERMISSION: Final = "django_at_jwt.preview_claimmapper"
_SEARCH: Final = "resource_servers"
_TEMPLATE: Final = "admin/django_at_jwt/preview/page.html"


@admin.register(TokenPreview)
class TokenPreviewAdmin(SearchAdminMixin, ReadOnlyModelAdmin):
    """The preview page, in place of a list of rows."""

    searches: ClassVar = {_SEARCH: ResourceServers()}

    def get_urls(self) -> list[URLPattern]:
        """Return the page's URL under the name used by links and the name expected by the admin index."""
        names = ("django_at_jwt_preview", f"{self.opts.app_label}_{self.opts.model_name}_changelist")
        view = self.admin_site.admin_view(self.preview_view)
        return [*(path("", view, name=name) for name in names), *self.get_search_urls()]

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Return the page."""
        return preview_page(request, self.admin_site, search_url=self.search_urls()[_SEARCH])

    def may_search(self, request: HttpRequest) -> bool:
        """Return whether the user may preview tokens."""
        return self.has_view_permission(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether the index lists the page."""
        return request.user.has_perm(PREVIEW_PERMISSION)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may preview tokens."""
        return request.user.has_perm(PREVIEW_PERMISSION)


def record_preview(request: HttpRequest, impact: ChangeImpact) -> None:
    """Record in the history of each sampled user that claims were shown."""
    users = {diff.token.user.pk: diff.token.user for diff in impact.tokens if diff.token.user is not None}
    if users and request.user.pk is not None:
        message = _("Claims in access tokens were previewed.")
        LogEntry.objects.log_actions(request.user.pk, users.values(), CHANGE, message)


def preview_page(
    request: HttpRequest,
    admin_site: AdminSite,
    *,
    search_url: str,
    mappers: CompiledMappers | None = None,
    conditions: Conditions | None = None,
    title: str = "",
) -> HttpResponse:
    """Return the page that asks which token to preview; after a POST, show the preview and record it.

    Another form's view, such as a claim mapper's, can call this for its own POST, with the mappers as they would be
    saved. The values of that form are submitted again, to the same URL, with each preview. The form starts with a
    request that meets the conditions. Its search for APIs is at ``search_url``.

    Raises:
        PermissionDenied: the user may not preview access tokens.
    """
    if not request.user.has_perm(PREVIEW_PERMISSION):
        raise PermissionDenied
    sent = any(name.startswith(f"{PREFIX}-") for name in request.POST)
    if request.method == "POST":
        initial = {} if conditions is None else request_for_mapper(conditions)
    else:
        initial = _initial(request, admin_site)
    data = request.POST if sent else None
    form = PreviewForm(data, request=request, admin_site=admin_site, search_url=search_url, initial=initial)
    context: dict[str, Any] = {
        **admin_site.each_context(request),
        "title": title or _("Preview an access token"),
        "opts": ClaimMapper._meta,
        "form": form,
        "media": form.media + SEARCH_LABELS,
        "carried": [(name, value) for name, values in request.POST.lists() for value in values if _is_repeated(name)],
        "is_unsaved": mappers is not None,
        "back": BACK,
    }
    if sent and form.is_valid():
        asked = form.cleaned_data
        preview = preview_access_token(
            form.request(), scopes=asked["scopes"], resources=asked["resources"], mappers=mappers
        )
        _record(request, asked, is_unsaved=mappers is not None)
        context |= {"asked": asked, **_shown(preview)}
    # Resolve "admin:" URLs in the template to this admin site.
    request.current_app = admin_site.name
    return TemplateResponse(request, _TEMPLATE, context)


def _is_repeated(name: str) -> bool:
    return name != "csrfmiddlewaretoken" and not name.startswith(f"{PREFIX}-")


def _initial(request: HttpRequest, admin_site: AdminSite) -> dict[str, Any]:
    """Return the request for the rows named by a link, if the administrator may view these rows."""
    initial: dict[str, Any] = {}
    for name, (model, request_for) in _LINKED.items():
        registered = admin_site._registry.get(model())
        row = registered.get_object(request, request.GET[name]) if registered and name in request.GET else None
        if registered and row is not None and registered.has_view_permission(request, row):
            initial |= request_for(row)
    return initial


# The models that a link can name a row of, and the request to start with.
_LINKED: Final[dict[str, tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]]] = {
    "user": (token_user_model, lambda row: {"user": row.pk, "user_name": row.pk}),
    "client": (get_application_model, lambda row: {"client": row.pk, "client_id": row.client_id}),
    "mapper": (lambda: ClaimMapper, lambda row: request_for_mapper(row.rule_or_broken().conditions)),
    "resource_server": (lambda: ResourceServer, request_for_resource_server),
}


def _record(request: HttpRequest, asked: Mapping[str, Any], *, is_unsaved: bool) -> None:
    """Record the preview in the history of the user, or of the client. No claim is recorded."""
    names = {"client": asked["client"].client_id, "grant": asked["grant"]}
    parts = [_("An access token of client %(client)s (grant: %(grant)s) was previewed.") % names]
    if asked["resources"]:
        parts.append(_("APIs: %(names)s.") % {"names": " ".join(asked["resources"])})
    if asked["scopes"]:
        parts.append(_("Scopes: %(names)s.") % {"names": " ".join(asked["scopes"])})
    if is_unsaved:
        parts.append(_("The preview included unsaved changes to claim mappers."))
    about = [asked.get("user") or asked["client"]]
    LogEntry.objects.log_actions(cast("int", request.user.pk), about, CHANGE, " ".join(parts), single_object=True)


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
    """Return the length of the bar in bytes: slightly beyond the last mark, or the size of the token."""
    total = 0 if preview.size is None else preview.size.total
    return max(total, SIZE_MARKS[-1] * 17 // 16)


def _segments(preview: Preview) -> list[dict[str, Any]]:
    """Return the parts of the size bar; their ``left`` and ``width`` are percentages of the whole bar."""
    if preview.size is None:
        return []
    size, whole = preview.size, _whole(preview)
    parts = [
        ("header", _("header: %(number)d bytes"), size.header),
        ("claims", _("claims: %(number)d bytes"), size.claims),
        ("signature", _("signature: %(number)d bytes"), size.signature),
    ]
    segments, before = [], 0
    for name, label, taken in parts:
        left, width = 100 * before / whole, 100 * taken / whole
        segments.append({"name": name, "label": label % {"number": taken}, "left": left, "width": width})
        before += taken
    return segments
