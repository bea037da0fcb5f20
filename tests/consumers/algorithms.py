"""The algorithms that consumers are tried with. Each has its own API in the issuer."""

from __future__ import annotations

from typing import Final

# The first one is used to measure how soon a consumer takes a new key.
ALGORITHMS: Final = ("RS256", "ES256", "EdDSA", "Ed25519")
