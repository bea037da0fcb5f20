"""The scopes of a resource server in its form: those of the site to tick, with descriptions, and others to add."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.authorization_server.scopes import ResourceServerScopes
from django_at_jwt.authorization_server.toolkit import get_scopes_backend
from django_at_jwt.core.bearer import is_scope
from django_at_jwt.core.quotation import quote


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return the scope and the description of each line."""
    lines = (line.split(None, 1) for line in text.splitlines() if line.strip())
    return [(line[0], line[1].strip() if len(line) > 1 else "") for line in lines]


def _lines(scopes: dict[str, str]) -> str:
    return "\n".join(f"{scope} {text}".rstrip() for scope, text in scopes.items())


def _offered() -> dict[str, str]:
    """Return the scopes of the site and of other resource servers, with descriptions."""
    named = {scope: text for server in registry.latest() for scope, text in (server.scopes or {}).items()}
    return named | {scope: str(text) for scope, text in get_scopes_backend().get_all_scopes().items()}


class ScopesWidget(forms.Widget):
    """A checkbox and a description for each scope of the site, and a text for others, one per line."""

    template_name = "admin/django_at_jwt/resourceserver/scopes.html"

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Return the context: all offered scopes, and the lines of others."""
        pairs, offered = _pairs(value or ""), _offered()
        chosen = dict(pairs)
        # A site can have hundreds of scopes: those of this API come first.
        offered = {scope: offered[scope] for scope in sorted(offered, key=lambda scope: scope not in chosen)}
        return {
            **super().get_context(name, None, attrs),
            "scopes": [
                {"name": scope, "general": text, "is_chosen": scope in chosen, "text": chosen.get(scope, "")}
                for scope, text in offered.items()
            ],
            "others": "\n".join(f"{scope} {text}".rstrip() for scope, text in pairs if scope not in offered),
        }

    def value_from_datadict(self, data: Any, files: Any, name: str) -> str:
        """Return all scopes as lines of text. A line written for an offered scope replaces its description."""
        others = data.get(name, "")
        written = {scope for scope, _text in _pairs(others)}
        ticked = {
            scope: " ".join(data.get(f"{name}-text-{scope}", "").split())
            for scope in data.getlist(f"{name}-chosen")
            if scope not in written
        }
        return f"{_lines(ticked)}\n{others}".strip()

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """Return ``False``: without any, the API has the scopes that no other API names."""
        return False


class ScopesField(forms.CharField):
    """Scopes as lines of text: each a scope, followed by a space and its description."""

    widget = ScopesWidget

    def prepare_value(self, value: Any) -> Any:
        """Return scopes as lines of text; a row loaded from a fixture may hold a list, or anything else."""
        if isinstance(value, list):
            value = dict.fromkeys(map(str, value), "")
        return _lines(value) if isinstance(value, dict) else str(value or "")

    def to_python(self, value: Any) -> Any:
        """Return the scopes of the lines; ``None`` if there are none.

        Raises:
            ValidationError: a line is invalid, or the site has no such scope and resource servers cannot add scopes.
        """
        pairs = _pairs(str(super().to_python(value)))
        named = [scope for scope, _text in pairs]
        twice = sorted({scope for scope in named if named.count(scope) > 1})
        if twice:
            raise ValidationError(
                _("Duplicate scope: %(scopes)s. Write each scope on one line only."),
                params={"scopes": ", ".join(twice)},
            )
        invalid = [quote(scope) for scope in named if not is_scope(scope)]
        if invalid:
            raise ValidationError(
                _("Invalid scope: %(scopes)s. Scopes are printable ASCII without space, quote and backslash."),
                params={"scopes": ", ".join(invalid)},
            )
        backend = get_scopes_backend()
        known = backend.get_all_scopes()
        unknown = [scope for scope in named if scope not in known]
        if unknown and not isinstance(backend, ResourceServerScopes):
            text = _(
                'Unknown scope: %(unknown)s. OAUTH2_PROVIDER["SCOPES"] has %(known)s. To add scopes here, set '
                "SCOPES_BACKEND_CLASS to django_at_jwt.scopes.ResourceServerScopes."
            )
            raise ValidationError(text, params={"unknown": ", ".join(unknown), "known": ", ".join(known)})
        return dict(pairs) or None

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the scopes or their descriptions differ."""
        return dict(_pairs(str(self.prepare_value(initial) or ""))) != dict(_pairs(str(data or "")))
