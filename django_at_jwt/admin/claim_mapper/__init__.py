"""Claim mappers in the admin."""
