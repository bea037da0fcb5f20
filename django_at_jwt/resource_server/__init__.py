"""What runs where access tokens are accepted. It needs neither django-oauth-toolkit nor this app's tables."""
