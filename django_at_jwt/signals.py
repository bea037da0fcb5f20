"""The signals of this app, for instance for metrics."""

from __future__ import annotations

from django_at_jwt.resource_server.remote.discovery import issuer_fetched

__all__ = ["issuer_fetched"]
