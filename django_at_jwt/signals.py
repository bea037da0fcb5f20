"""The signals of this app, for instance for metrics. The events are in :mod:`django_at_jwt.events`."""

from __future__ import annotations

from django_at_jwt.events import event_emitted
from django_at_jwt.resource_server.remote.discovery import issuer_fetched

__all__ = ["event_emitted", "issuer_fetched"]
