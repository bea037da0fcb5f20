"""The resource server: accepts access tokens. Needs neither django-oauth-toolkit nor this app's tables."""
