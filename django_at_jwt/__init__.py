"""RFC 9068 access tokens for Django: issued by django-oauth-toolkit, verified by Django REST framework."""

from .conf import oauth2_provider_settings

__all__ = ["__version__", "oauth2_provider_settings"]

__version__ = "0.1.0"
