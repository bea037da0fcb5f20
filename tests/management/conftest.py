"""The fixtures of a project that accepts the tokens of a remote issuer."""

from tests.resource_server.conftest import api, clock, issuer

__all__ = ["api", "clock", "issuer"]
