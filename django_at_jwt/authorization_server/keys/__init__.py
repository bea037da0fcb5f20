"""Signing keys: stored encrypted, rotated, revoked, imported, and read into a key ring."""
