"""Find users and clients by the name typed on a page or a command line."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from oauth2_provider.models import get_application_model

from django_at_jwt.conf import token_user_model
from django_at_jwt.core.quotation import quote


def find_user(text: str) -> Any:
    """Return the user with a username or primary key.

    Raises:
        LookupError: no user has it, or it is the username of one user and the primary key of another.
    """
    model = token_user_model()
    name_field = getattr(model, "USERNAME_FIELD", None)
    named = [] if name_field is None else model._base_manager.filter(**{name_field: text})
    found: dict[Any, Any] = {user.pk: user for user in named}
    # The text need not be a valid primary key.
    with suppress(ValidationError, ValueError, OverflowError):
        found |= {user.pk: user for user in model._base_manager.filter(pk=model._meta.pk.to_python(text))}
    if not found:
        raise LookupError(_("No user has the username or primary key %(name)s.") % {"name": quote(text)})
    if len(found) > 1:
        raise LookupError(_("This is the username of one user and the primary key of another."))
    return next(iter(found.values()))


def find_client(client_id: str) -> Any:
    """Return the client with a client ID.

    Raises:
        LookupError: no client has it.
    """
    client = get_application_model()._default_manager.filter(client_id=client_id).first()
    if client is None:
        raise LookupError(_("No client has the client ID %(name)s.") % {"name": quote(client_id)})
    return client
