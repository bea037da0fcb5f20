"""The validator: where oauthlib asks django-oauth-toolkit, and this app has a say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from oauthlib.oauth2 import InvalidRequestError

from django_at_jwt.core.errors import IssuanceError

from .audience import resolve_for_authorization
from .bearer import AcceptingMixin
from .device_grant import DeviceMixin
from .generator import refuse
from .grants import StoringMixin
from .id_token import IdentityMixin
from .request import is_authorization_request
from .site_views import is_being_answered, judge, was_judged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oauthlib.common import Request

# The column of the toolkit's grant; some databases refuse what does not fit, others cut it off.
_LONGEST_NONCE: Final = 255
# RFC 7636 §4.2. oauthlib compares the challenge with a function that takes no other characters than ASCII.
_CODE_CHALLENGE: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class AccessTokenValidatorMixin(StoringMixin, DeviceMixin, IdentityMixin, AcceptingMixin):
    """What makes django-oauth-toolkit's validator issue and accept ``at+jwt`` access tokens.

    A site with its own validator class puts it first::

        class SiteValidator(AccessTokenValidatorMixin, OAuth2Validator): ...
    """

    def validate_scopes(
        self, client_id: str, scopes: Sequence[str], client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Look at the requested resources too, while the authorization request is validated.

        So an unknown resource is refused before anybody is asked for consent, and the redirect carries the ``state``.
        """
        if not is_authorization_request(request):
            return bool(super().validate_scopes(client_id, scopes, client, request, *args, **kwargs))
        # oauthlib takes parameters for attributes: a "grant_type" in the address of an authorization request would
        # make the toolkit store somebody's token as the client's own.
        request.grant_type = None
        _refuse_unusable_values(request)
        if not super().validate_scopes(client_id, scopes, client, request, *args, **kwargs):
            return False
        try:
            audience = resolve_for_authorization(request)
            if is_being_answered(request) and not was_judged(request):
                judge(request, audience)
        except IssuanceError as error:
            refuse(error, request)
        return True

    def validate_redirect_uri(
        self, client_id: str, redirect_uri: str, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Tell whether a redirect URI is the client's; one whose port is no port is nobody's, and no crash."""
        try:
            return bool(super().validate_redirect_uri(client_id, redirect_uri, request, *args, **kwargs))  # type: ignore[misc]
        except ValueError:
            # The toolkit's forms take such a URI, and what compares it with others cannot read it.
            return False

    def validate_silent_login(self, request: Request) -> bool:
        """Say yes, for ``prompt=none``: whether somebody is logged in is the authorization endpoint's to know.

        It answers ``login_required`` for anybody else, whatever is said here (OpenID Connect Core §3.1.2.6).
        """
        return True

    def validate_silent_authorization(self, request: Request) -> bool:
        """Tell whether no consent page is needed, for ``prompt=none``: only where the client skips it always."""
        return bool(request.client.skip_authorization)


def _refuse_unusable_values(request: Request) -> None:
    # The consent form's hidden fields come this way too, and may have been changed.
    if len(request.nonce or "") > _LONGEST_NONCE:
        raise InvalidRequestError(f"The nonce is longer than {_LONGEST_NONCE} characters.", request=request)
    if request.code_challenge and not _CODE_CHALLENGE.fullmatch(request.code_challenge):
        description = "The code_challenge is not 43 to 128 letters, digits and characters of '-._~'."
        raise InvalidRequestError(description, request=request)
