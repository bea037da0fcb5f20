"""The signals of this app, for whoever counts and measures."""

from __future__ import annotations

from django_at_jwt.resource_server.remote.discovery import issuer_fetched

__all__ = ["issuer_fetched"]
