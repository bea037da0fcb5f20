"""Issuers in other projects: discovery, fetching and caching of their keys."""
