"""The signals of this app, for whoever counts and measures."""

from __future__ import annotations

from .resource_server.retrieval import issuer_fetched

__all__ = ["issuer_fetched"]
