"""Revoking tokens in the admin."""
