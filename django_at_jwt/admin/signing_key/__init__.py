"""Signing keys in the admin."""
