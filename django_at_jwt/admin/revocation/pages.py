"""The pages that show what a revocation ends, and revoke it once that is confirmed."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final, cast

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from django_at_jwt.admin.confirmation import submitted_values
from django_at_jwt.admin.search_fields import value_label
from django_at_jwt.authorization_server.revocation.impact import TokenCounts, tokens_of_client, tokens_of_users
from django_at_jwt.authorization_server.revocation.revoke import revoke_client, revoke_users
from django_at_jwt.authorization_server.revocation.rows import has_own_revoke
from django_at_jwt.conf import token_user_model
from django_at_jwt.models import DenyListEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.contrib.admin import AdminSite
    from django.http import HttpRequest, HttpResponse

# The template revocation/link.html, which other models' pages include, checks the same permission.
REVOKE_PERMISSION: Final = "django_at_jwt.revoke_tokens"
VIEW_AUTHORIZATIONS: Final = "django_at_jwt.view_authorization"
_TEMPLATE: Final = "admin/django_at_jwt/revocation/page.html"
# The name of the button that confirms a page.
CONFIRM: Final = "_revoke"
# About a second. Where a site's models revoke refresh tokens one by one, more are left to the command.
_MOST_ONE_BY_ONE: Final = 100


def confirm_log_out_everywhere(
    request: HttpRequest, site: AdminSite, users: Iterable[Any], *, back: str
) -> HttpResponse | None:
    """Return the page that asks to revoke all tokens of users, or revoke them and return ``None`` if confirmed."""
    require_permission(request)
    found = list(users)
    model = type(found[0]) if found else token_user_model()
    if not issubclass(model, token_user_model()):
        messages.error(request, _("Access tokens are issued for users of another model."))
        return None
    counts = tokens_of_users(found, model)
    commands = [f"manage.py revoke_tokens --user={shlex.quote(str(user.pk))}" for user in found]
    if CONFIRM not in request.POST or _is_left_to_commands(counts):
        context = {
            "title": _("Log out everywhere"),
            "explanation": ngettext(
                "All tokens of this user are revoked. The user stays logged in to this site, where clients can get new "
                "tokens: to prevent that, change the password or deactivate the user. An API in another project may "
                "accept an access token until it expires.",
                "All tokens of these users are revoked. They stay logged in to this site, where clients can get new "
                "tokens: to prevent that, change their passwords or deactivate the users. An API in another project "
                "may accept an access token until it expires.",
                len(found),
            ),
        }
        asked = revocation_context(request, [str(user) for user in found], counts, commands)
        return render_page(request, site, {**context, **asked, "back": back})
    ended = revoke_users(found, model=model)
    record_changes(request, found, gettext("Logged out everywhere: all tokens were revoked."))
    messages.success(request, _number_ended(ended))
    return None


def confirm_client_revocation(
    request: HttpRequest, site: AdminSite, clients: Iterable[Any], *, back: str
) -> HttpResponse | None:
    """Return the page that asks to revoke all tokens of clients, or revoke them and return ``None`` if confirmed."""
    require_permission(request)
    found = list(clients)
    counts = TokenCounts(*map(sum, zip(*(tokens_of_client(client) for client in found), strict=True)))
    commands = [f"manage.py revoke_tokens --client={shlex.quote(client.client_id)}" for client in found]
    if CONFIRM not in request.POST or _is_left_to_commands(counts):
        context = {
            "title": _("Revoke all tokens"),
            "explanation": ngettext(
                "All tokens issued to this client until now are revoked, so its users have to log in again. The client "
                "can request new tokens at once. An API in another project may accept an access token until it "
                "expires.",
                "All tokens issued to these clients until now are revoked, so their users have to log in again. The "
                "clients can request new tokens at once. An API in another project may accept an access token until "
                "it expires.",
                len(found),
            ),
        }
        names = [value_label(client.client_id, client.name) for client in found]
        asked = revocation_context(request, names, counts, commands)
        return render_page(request, site, {**context, **asked, "back": back})
    report_client_revocation(request, found, sum(revoke_client(client) for client in found))
    return None


def report_client_revocation(request: HttpRequest, clients: list[Any], ended: int) -> None:
    """Record in the history of clients that all their tokens were revoked, and show how many authorizations ended."""
    record_changes(request, clients, gettext("All tokens were revoked."))
    messages.success(request, " ".join([gettext("The tokens were revoked."), _number_ended(ended)]))


def _number_ended(ended: int) -> str:
    text = ngettext("%(ended)d authorization has ended.", "%(ended)d authorizations have ended.", ended)
    return text % {"ended": ended}


def _is_left_to_commands(counts: TokenCounts) -> bool:
    return counts.refresh_tokens > _MOST_ONE_BY_ONE and has_own_revoke()


def revocation_context(
    request: HttpRequest, rows: list[str], counts: TokenCounts, commands: list[str]
) -> dict[str, Any]:
    """Return the context of a page that asks to revoke the tokens of rows."""
    return {
        "rows": rows,
        "counts": counts,
        "commands": commands if _is_left_to_commands(counts) else [],
        # An action of a changelist is submitted again, with the same selection.
        "sent": [(name, value) for name, value in submitted_values(request) if name != CONFIRM],
    }


def require_permission(request: HttpRequest) -> None:
    """Check that the user may revoke tokens.

    Raises:
        PermissionDenied: they may not.
    """
    if not request.user.has_perm(REVOKE_PERMISSION):
        raise PermissionDenied


def change_page_url(site: AdminSite, row: Any) -> str:
    """Return the URL of the change page of a row."""
    meta = row._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk], current_app=site.name)


def record_changes(request: HttpRequest, rows: list[Any], message: str) -> None:
    """Record a message in the history of rows."""
    LogEntry.objects.log_actions(cast("int", request.user.pk), rows, CHANGE, message)


def render_page(request: HttpRequest, site: AdminSite, context: dict[str, Any]) -> HttpResponse:
    """Return the page that asks for a ``jti`` or for confirmation."""
    context = {**site.each_context(request), "opts": DenyListEntry._meta, "confirm": CONFIRM, **context}
    # Resolve "admin:" URLs in the template to this admin site.
    request.current_app = site.name
    return TemplateResponse(request, _TEMPLATE, context)
