"""Issuers in other projects: discovery, retrieval and caching of their keys."""
