"""The authorization server: issues access tokens. Requires django-oauth-toolkit."""
