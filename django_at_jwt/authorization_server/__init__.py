"""What runs where access tokens are issued. It needs django-oauth-toolkit."""
