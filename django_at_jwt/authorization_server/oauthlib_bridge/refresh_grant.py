"""The token request with a refresh token: what it may get, and which tokens it replaces (RFC 6749 section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.settings import oauth2_settings
from oauthlib.oauth2 import InvalidGrantError

from django_at_jwt.authorization_server.revocation.reasons import because, without_revocation
from django_at_jwt.authorization_server.revocation.revoke import end_authorizations
from django_at_jwt.core.errors import IssuanceError
from django_at_jwt.core.grant_types import REFRESH_TOKEN
from django_at_jwt.events import CredentialReused, emit
from django_at_jwt.models import Authorization
from django_at_jwt.models.authorization import EndReason, credential_hash
from django_at_jwt.models.change_times import change_times
from django_at_jwt.models.primary import primary_rows

from .audience import check_requested_resources, resolved_audience
from .authorization import attach_authorization, expiry_of, is_unstored_token, link_token, store_authorization
from .generator import refuse
from .refresh_families import can_have_sibling, end_replaced, first_replacement, lock_family
from .request import AUTHORIZATION, LINK, stored, token_grant

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from oauthlib.common import Request

    from .refresh_families import LockedFamily, Superseded


class RefreshGrantMixin:
    """Refreshes tokens within what was granted, and ends the tokens that they replace."""

    def rotate_refresh_token(self, request: Request) -> bool:
        """Return whether to issue a new refresh token; only a refresh with a live refresh token may keep it.

        For any other request, oauthlib would hand out its ``refresh_token`` parameter as the refresh token.
        """
        used = stored(request, "refresh_token_instance")
        if token_grant(request) != REFRESH_TOKEN or (used is not None and used.revoked is not None):
            return True
        return super().rotate_refresh_token(request)  # type: ignore[misc]

    def validate_refresh_token(
        self, refresh_token: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Validate a refresh token, store its family's authorization on the request, and check requested resources.

        If it was used before and DOT therefore revokes its family, the authorization ends (RFC 9700 section 4.14.2).
        """
        with because(EndReason.REFRESH_TOKEN_REUSED):
            valid = super().validate_refresh_token(refresh_token, client, request, *args, **kwargs)  # type: ignore[misc]
        if valid:
            attach_authorization(request, self._authorization_of_family(refresh_token, request))
            try:
                check_requested_resources(request)
            except IssuanceError as error:
                refuse(error, request)
        elif oauth2_settings.REFRESH_TOKEN_REUSE_PROTECTION:
            _end_reused(refresh_token)
        return valid

    def _authorization_of_family(self, refresh_token: str, request: Request) -> Authorization | None:
        """Return the authorization of a refresh token; that of one from before this app is stored now."""
        used = request.refresh_token_instance
        authorization = Authorization.objects.of_family(used.token_family)
        if authorization is not None or used.token_family is None:
            return authorization
        # An empty list if the access token was deleted.
        scopes = super().get_original_scopes(refresh_token, request) or ""  # type: ignore[misc]
        return Authorization.objects.begin_family(used, scopes=scopes)

    def get_original_scopes(self, refresh_token: str, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Return the granted scopes; DOT would return those of the last access token, which may be fewer."""
        authorization: Authorization | None = stored(request, AUTHORIZATION)
        if authorization is None:
            return super().get_original_scopes(refresh_token, request, *args, **kwargs)  # type: ignore[misc]
        return authorization.scopes

    def _save_refreshed_token(self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any) -> Any:
        expires_at = expiry_of(token)
        # It also locks the family, so that requests with different siblings wait for each other.
        if not store_authorization(request, expires_at=expires_at):
            raise InvalidGrantError("The authorization has ended.", request=request)
        family = lock_family(request.refresh_token_instance)
        if family.token is None:
            raise InvalidGrantError("The refresh token was revoked or deleted by another request.", request=request)
        if family.token.revoked is None:
            self._check_and_set_request_resource(request)  # type: ignore[attr-defined]
            save = super()._save_bearer_token  # type: ignore[misc]
            if save.__func__ is OAuth2Validator._save_bearer_token:
                self._replace_tokens(token, request, family, expires_at)
            else:
                self._replace_tokens_with(save, token, request, family)
            return None
        replacement = first_replacement(family.token)
        if replacement is None:
            raise InvalidGrantError("The refresh token was revoked by another request.", request=request)
        if _can_reissue(replacement, request):
            super()._save_bearer_token(token, request, *args, **kwargs)  # type: ignore[misc]
            token["expires_in"] = int((replacement.expires - timezone.now()).total_seconds())
        elif can_have_sibling(family.token, replacement):
            self._store_sibling(token, request, family.token)
        else:
            raise InvalidGrantError("The refresh token was used by another request.", request=request)
        return None

    def _replace_tokens(
        self, token: dict[str, Any], request: Request, family: LockedFamily, expires_at: datetime
    ) -> None:
        """Store the tokens of a refresh, and end those that they replace.

        DOT would read each row again, and end the former access token even if it is for another API.
        """
        used, rotates = family.token, self.rotate_refresh_token(request)
        # A row that holds no token value is overwritten with rotation, too.
        can_overwrite = not rotates or is_unstored_token(token["access_token"])
        row, superseded = _end_former(request, family, rotates=rotates, ends_used=rotates, keeps_row=can_overwrite)
        setattr(request, LINK, superseded.link if superseded.replaced else None)
        if superseded.replaced and can_overwrite:
            if rotates:
                row.source_refresh_token, id_token = used, token.get("id_token")
                row.id_token = self._load_id_token(id_token) if id_token else None  # type: ignore[attr-defined]
            self._overwrite(row, token, request, expires_at)
        else:
            source = used if rotates else None
            row = self._create_access_token(expires_at, request, token, source_refresh_token=source)  # type: ignore[attr-defined]
        if rotates:
            self._create_refresh_token(request, token["refresh_token"], row, used)  # type: ignore[attr-defined]
        elif not superseded.replaced:
            used.access_token = row
            used.save(update_fields=["access_token", *change_times(type(used))])

    def _replace_tokens_with(
        self, save: Callable[..., Any], token: dict[str, Any], request: Request, family: LockedFamily
    ) -> None:
        """Store the tokens of a refresh with a site's own ``_save_bearer_token()``, which also ends those it replaces.

        Before that, the siblings are revoked and the replaced access tokens denied.
        """
        used, rotates = family.token, self.rotate_refresh_token(request)
        _, superseded = _end_former(request, family, rotates=rotates, ends_used=False, keeps_row=True)
        setattr(request, LINK, superseded.link if superseded.replaced or not rotates else None)
        if rotates and not superseded.replaced:
            # Otherwise, DOT would delete the former access token.
            used.access_token = None
            used.save(update_fields=["access_token", *change_times(type(used))])
        with without_revocation():
            save(token, request)
        if not rotates:
            # DOT has overwritten the row of the former access token.
            link_token(request, _access_token_of(used, used, lock=True), token)

    def _overwrite(self, row: Any, token: dict[str, Any], request: Request, expires_at: datetime) -> None:
        """Store an access token in the row of the one that it replaces, as DOT does without rotation."""
        row.user, row.application, row.resource = request.user, request.client, request.resource
        row.scope, row.expires = token["scope"], expires_at
        self._set_token_value(row, token["access_token"])  # type: ignore[attr-defined]
        row.save()
        link_token(request, row, token)

    def _store_sibling(self, token: dict[str, Any], request: Request, replaced: Any) -> None:
        """Store the tokens of a retry in addition to those of the first use.

        DOT allows one access token per used refresh token, so ``source_refresh_token`` stays empty here.
        """
        self._check_and_set_request_resource(request)  # type: ignore[attr-defined]
        access_token = self._create_access_token(expiry_of(token), request, token)  # type: ignore[attr-defined]
        self._create_refresh_token(request, token["refresh_token"], access_token, replaced)  # type: ignore[attr-defined]


def _end_former(
    request: Request, family: LockedFamily, *, rotates: bool, ends_used: bool, keeps_row: bool
) -> tuple[Any, Superseded]:
    """End the tokens that a refresh replaces, and return the former access token's row and what became of it.

    Raises:
        InvalidGrantError: the row was deleted.
    """
    row = _access_token_of(family.token, request.refresh_token_instance, lock=not rotates)
    if row is None:
        raise InvalidGrantError("The access token was revoked by another request.", request=request)
    return row, end_replaced(
        family,
        row,
        audience=request.resource,
        authorization=stored(request, AUTHORIZATION),
        ends_used=ends_used,
        keeps_row=keeps_row,
    )


def _access_token_of(used: Any, known: Any, *, lock: bool) -> Any:
    """Return the access token of a locked refresh token, or ``None`` if it was deleted.

    Args:
        used: the refresh token.
        known: the same refresh token, as it was validated, with its access token.
        lock: lock the access token and read it again, since another request may have overwritten it.
    """
    if not lock and used.access_token_id == known.access_token_id:
        return known.access_token
    return get_access_token_model().objects.select_for_update().filter(pk=used.access_token_id).first()


def _end_reused(refresh_token: str) -> None:
    """End the authorization of a refresh token whose family DOT has revoked because it was used before."""
    rows = primary_rows(get_refresh_token_model())
    used = rows.filter(
        token_checksum=credential_hash(refresh_token), revoked__isnull=False, token_family__isnull=False
    ).first()
    if used is None:
        return
    # DOT leaves the family alone if another client sends the token within the grace period. A refresh token that was
    # issued while DOT revoked the others has lost its access token.
    living = rows.filter(token_family=used.token_family, revoked__isnull=True, access_token__isnull=False)
    if living.exists():
        return
    authorization = Authorization.objects.of_family(used.token_family)
    # A client may not know yet that its tokens were revoked. That is not reuse.
    if authorization is not None and authorization.end_reason in ("", EndReason.REFRESH_TOKEN_REUSED):
        end_authorizations([authorization], reason=EndReason.REFRESH_TOKEN_REUSED)
        emit(CredentialReused(credential="refresh_token", client_id=used.application.client_id))


def _can_reissue(replacement: Any, request: Request) -> bool:
    """Return whether a retry can get the tokens of the first use: stored in clear, not expired, and as requested."""
    if not replacement.token or replacement.is_expired():
        return False
    audience = resolved_audience(request)
    return audience is None or (
        set(replacement.resource) == set(audience.identifiers)
        and set(replacement.scope.split()) == set(audience.scopes)
    )
