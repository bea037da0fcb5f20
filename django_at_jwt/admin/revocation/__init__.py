"""Revocation of tokens in the admin."""
