"""Names of django-oauth-toolkit whose modules move after version 3.4, imported from the installed version.

The old modules still work after the move, with a ``DeprecationWarning``. Names that ``oauth2_provider.models``,
``settings``, ``generators``, ``views``, ``urls`` and ``oauth2_validators`` export stay there, and are not listed here.
"""

from importlib.util import find_spec

from django.views.generic import View

if find_spec("oauth2_provider.authorization_server"):
    from oauth2_provider.authorization_server.cimd import CIMDError
    from oauth2_provider.authorization_server.dcr import IsAuthenticatedDCRPermission
    from oauth2_provider.authorization_server.forms import AllowForm, ApplicationForm
    from oauth2_provider.authorization_server.views.base import BaseAuthorizationView
    from oauth2_provider.authorization_server.views.device import DeviceGrantForm
    from oauth2_provider.authorization_server.views.par import PushedAuthorizationRequestView
    from oauth2_provider.core.exceptions import FatalClientError, InvalidOIDCClientError, OAuthToolkitError
    from oauth2_provider.core.scopes import SettingsScopes, get_scopes_backend
    from oauth2_provider.core.signals import app_authorized
    from oauth2_provider.core.utils import jwk_from_pem, set_oauthlib_user_to_device_request_user
    from oauth2_provider.models import get_par_request_model
    from oauth2_provider.resource_server.mixins import ProtectedResourceMetadataMixin, ProtectedResourceMixin
else:  # 3.4
    from oauth2_provider.cimd import CIMDError
    from oauth2_provider.dcr import IsAuthenticatedDCRPermission
    from oauth2_provider.exceptions import FatalClientError, InvalidOIDCClientError, OAuthToolkitError
    from oauth2_provider.forms import AllowForm, ApplicationForm
    from oauth2_provider.scopes import SettingsScopes, get_scopes_backend
    from oauth2_provider.signals import app_authorized
    from oauth2_provider.utils import jwk_from_pem, set_oauthlib_user_to_device_request_user
    from oauth2_provider.views.base import BaseAuthorizationView
    from oauth2_provider.views.device import DeviceGrantForm
    from oauth2_provider.views.mixins import ProtectedResourceMetadataMixin, ProtectedResourceMixin

    # Version 3.4 has no pushed authorization requests (RFC 9126).
    get_par_request_model = None

    class PushedAuthorizationRequestView(View):  # type: ignore[no-redef]
        """A substitute for the endpoint that this version lacks. It answers 405."""

        http_method_names = ()


__all__ = [
    "AllowForm",
    "ApplicationForm",
    "BaseAuthorizationView",
    "CIMDError",
    "DeviceGrantForm",
    "FatalClientError",
    "InvalidOIDCClientError",
    "IsAuthenticatedDCRPermission",
    "OAuthToolkitError",
    "ProtectedResourceMetadataMixin",
    "ProtectedResourceMixin",
    "PushedAuthorizationRequestView",
    "SettingsScopes",
    "app_authorized",
    "get_par_request_model",
    "get_scopes_backend",
    "jwk_from_pem",
    "set_oauthlib_user_to_device_request_user",
]
