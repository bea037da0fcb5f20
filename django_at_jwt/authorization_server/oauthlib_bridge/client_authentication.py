"""Verify the secret of a client (RFC 6749 section 2.3.1)."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth.hashers import check_password
from django.db import Error as AnyDatabaseError
from django.db import transaction
from django.views.decorators.debug import sensitive_variables
from oauth2_provider.models import AbstractApplication, get_application_model
from oauthlib.common import Request

from django_at_jwt.authorization_server.client_secrets.attempts import secret_attempts
from django_at_jwt.authorization_server.client_secrets.hasher import (
    is_hash,
    is_keyed_hash,
    looks_like_hash,
    preferred_hash,
    secret_matches,
)
from django_at_jwt.authorization_server.endpoint_urls import ENDPOINTS_WITHOUT_USER, is_endpoint
from django_at_jwt.core.errors import KeysUnavailable
from django_at_jwt.core.quotation import quote, single_line
from django_at_jwt.models.primary import primary_rows

from .refusals import note_client, note_failed_secret

if TYPE_CHECKING:
    from django.http import HttpRequest

logger = logging.getLogger("django_at_jwt")

# django-oauth-toolkit does not pass the client to the method that compares secrets.
_request: Final[ContextVar[Request | None]] = ContextVar("django_at_jwt_client_request", default=None)


@sensitive_variables()
def authenticated_client(core: Any, request: HttpRequest) -> Any:
    """Return the confidential client whose credentials are in the header or the form of a request, or ``None``.

    Args:
        core: DOT's oauthlib core of the view.

    Raises:
        KeysUnavailable: as :meth:`ClientAuthenticationMixin.authenticate_client`.
    """
    form = dict(core.extract_body(request))
    # An assertion names the client itself (RFC 7523 section 3).
    if form.keys().isdisjoint({"client_id", "client_assertion"}) and "Authorization" not in request.headers:
        return None
    # Without the query, which must not contain credentials.
    wrapped = Request(request.path, request.method, list(form.items()), core.extract_headers(request))
    if not core.server.request_validator.authenticate_client(wrapped):
        return None
    is_confidential = wrapped.client.client_type == AbstractApplication.CLIENT_CONFIDENTIAL
    return wrapped.client if is_confidential else None


class ClientAuthenticationMixin:
    """Verifies client secrets, and hashes correct ones again if ``CLIENT_SECRET_HASHER`` names another hasher.

    A stored hash is never accepted as the secret itself.
    """

    def authenticate_client(self, request: Request, *args: Any, **kwargs: Any) -> bool:
        """Return whether the credentials of a request are correct, and of the client that it names, if any.

        Raises:
            KeysUnavailable: the secret's key cannot be read or decrypted, at an endpoint that answers 503.
        """
        # DOT decodes the credentials with this attribute. Without a value, it is a parameter, which a client can send.
        request.encoding = "utf-8"
        token = _request.set(request)
        try:
            authenticated = super().authenticate_client(request, *args, **kwargs)  # type: ignore[misc]
        except KeysUnavailable as error:
            if is_endpoint(request.uri, *ENDPOINTS_WITHOUT_USER):
                raise
            logger.error("A client is refused: %s", single_line(error))  # noqa: TRY400 - no traceback is needed
            return False
        finally:
            _request.reset(token)
        if authenticated and request.client_id and request.client_id != request.client.client_id:
            # oauthlib would answer server_error, which monitoring takes for a fault of this server.
            note_failed_secret(request.client, "client_id names another client")
            return False
        note_client(request, is_authenticated=authenticated)
        return authenticated

    def authenticate_client_id(self, client_id: str, request: Request, *args: Any, **kwargs: Any) -> bool:
        """Return whether a public client has this id."""
        known = super().authenticate_client_id(client_id, request, *args, **kwargs)  # type: ignore[misc]
        note_client(request, is_authenticated=known)
        return known

    @sensitive_variables()
    def _check_secret(self, provided_secret: str, stored_secret: str) -> bool:
        """Return whether a client's secret is correct.

        django-oauth-toolkit compares in plain text what no hasher accepts, so that the stored hash would work as the
        secret if its hasher or library is missing.
        """
        client, is_hashed = getattr(_request.get(), "client", None), is_hash(stored_secret)
        if is_hashed and is_keyed_hash(stored_secret):
            correct = secret_matches(provided_secret, stored_secret)
        elif is_hashed:
            correct = secret_attempts.check(
                provided_secret,
                stored_secret,
                client_id=getattr(client, "client_id", ""),
                verify=partial(_verify, provided_secret, stored_secret, client),
            )
        elif looks_like_hash(stored_secret, in_plain=not getattr(client, "hash_client_secret", True)):
            logger.error(
                "Client %s is refused: its stored secret is a hash, but no hasher in PASSWORD_HASHERS can verify it. "
                "Add the hasher, or set a new secret.",
                _name(client),
            )
            note_failed_secret(client, "no hasher can verify the stored client secret")
            return False
        else:
            correct = super()._check_secret(provided_secret, stored_secret)  # type: ignore[misc]
        if not correct:
            note_failed_secret(client, "wrong client secret" if provided_secret else "no client secret")
        elif is_hashed and client is not None:
            _store_preferred_hash(client, provided_secret, stored_secret)
        return correct


@sensitive_variables()
def _verify(provided: str, stored: str, client: Any) -> bool:
    try:
        return check_password(provided, stored)
    except ValueError as error:
        # The hash is malformed, its library is missing, or the secret cannot be encoded.
        logger.error("The secret of client %s cannot be verified: %s", _name(client), single_line(error))  # noqa: TRY400 - no traceback is needed
        return False


@sensitive_variables()
def _store_preferred_hash(client: Any, secret: str, stored: str) -> None:
    try:
        preferred = preferred_hash(secret, stored)
        if preferred is None:
            return
        # Only if the secret was not replaced in the meantime. No signal is sent: the secret is the same.
        rows = primary_rows(get_application_model()).filter(pk=client.pk, client_secret=stored)
        with transaction.atomic(using=rows.db):
            rows.update(client_secret=preferred)
    except (AnyDatabaseError, ValueError) as error:
        # ValueError: CLIENT_SECRET_HASHER names a hasher that is not installed.
        logger.warning("The secret of client %s was not hashed again: %s", _name(client), single_line(error))


def _name(client: Any) -> str:
    return quote(getattr(client, "client_id", None))
