"""Revocation of tokens, and the deny list that APIs obey."""
