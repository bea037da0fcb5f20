"""The authorization server's endpoints: django-oauth-toolkit's (DOT) views with this app's rules, and metadata."""
