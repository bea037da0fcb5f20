"""The bridge to django-oauth-toolkit (DOT) and oauthlib: the only package that depends on their internals."""
