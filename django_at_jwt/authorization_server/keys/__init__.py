"""Signing keys: encrypted storage, rotation, revocation, import, and the key ring."""
