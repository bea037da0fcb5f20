"""django-oauth-toolkit's admin classes, from the module that defines them.

That module imports ``APPLICATION_ADMIN_CLASS`` while it runs, so the class must not be derived from one that another
module re-exports: the re-exporting module has no names yet.
"""

try:
    from oauth2_provider.authorization_server.admin import AccessTokenAdmin, ApplicationAdmin, RefreshTokenAdmin
except ModuleNotFoundError:  # django-oauth-toolkit 3.4
    from oauth2_provider.admin import AccessTokenAdmin, ApplicationAdmin, RefreshTokenAdmin

__all__ = ["AccessTokenAdmin", "ApplicationAdmin", "RefreshTokenAdmin"]
