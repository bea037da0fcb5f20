"""Checks of the hasher for client secrets."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.hashers import get_hashers
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import CLIENT_SECRET_HASHER, toolkit_model

from .ids import UNREADABLE, CheckId, issues_tokens, system_check
from .keys import client_secret_key_rows

_HASHER: Final = "django_at_jwt.hashers.ClientSecretHasher"
_ADD: Final = f'Add "{_HASHER}" at the end of PASSWORD_HASHERS'


@system_check(issues_tokens)
def check_client_secret_hasher(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the hasher is installed if it is used, and is not the site's password hasher."""
    from django_at_jwt.authorization_server.client_secrets.hasher import is_preferred  # noqa: PLC0415 - it imports the models

    algorithms = [hasher.algorithm for hasher in get_hashers()]
    if algorithms[:1] == [CLIENT_SECRET_HASHER]:
        return [
            Error(
                f"{_HASHER} is the first of PASSWORD_HASHERS, but is not meant for the passwords of users.",
                hint="Put it at the end, after the site's password hashers.",
                id=CheckId.CLIENT_SECRET_HASHER_FIRST,
            )
        ]
    if CLIENT_SECRET_HASHER in algorithms:
        return []
    clients = _clients_with_keyed_hashes()
    if is_preferred():
        problem = (
            f'OAUTH2_PROVIDER["CLIENT_SECRET_HASHER"] is "{CLIENT_SECRET_HASHER}", which is not in PASSWORD_HASHERS, '
            "so no client secret can be stored."
        )
    elif clients:
        problem = f"{clients} client secrets are hashed by {_HASHER}, which is not in PASSWORD_HASHERS."
    else:
        return []
    hint = f"{_ADD}. To leave it, see manage.py check_client_secrets."
    return [Error(problem, hint=hint, id=CheckId.NO_CLIENT_SECRET_HASHER)]


@system_check(issues_tokens)
def check_client_secret_key(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the hasher has a key."""
    from django_at_jwt.authorization_server.client_secrets.hasher import is_preferred  # noqa: PLC0415 - as above

    if not is_preferred() or client_secret_key_rows() != []:
        return []
    return [
        Warning(
            "No client secret key exists, so client secrets get the site's password hash.",
            hint="Run: manage.py migrate && manage.py rotate_signing_keys",
            id=CheckId.NO_CLIENT_SECRET_KEY,
        )
    ]


@system_check(issues_tokens, deploy=True)
def check_client_secrets_are_fast(**_kwargs: Any) -> list[CheckMessage]:
    """Check that a token request does not cost a password hash."""
    from django_at_jwt.authorization_server.client_secrets.hasher import is_preferred  # noqa: PLC0415 - as above

    if is_preferred():
        return []
    return [
        Warning(
            "Client secrets are stored with the site's password hash, which costs most of the time of a token request.",
            hint=f'{_ADD}, set OAUTH2_PROVIDER["CLIENT_SECRET_HASHER"] to "{CLIENT_SECRET_HASHER}", then run: '
            "manage.py rotate_signing_keys",
            id=CheckId.SLOW_CLIENT_SECRETS,
        )
    ]


def _clients_with_keyed_hashes() -> int:
    """Return how many clients have a hash of this app's hasher, or 0 if the table cannot be read."""
    from django_at_jwt.models.primary import primary_rows  # noqa: PLC0415 - it is with the models

    try:
        clients = primary_rows(toolkit_model("APPLICATION_MODEL"))
        return clients.filter(client_secret__startswith=f"{CLIENT_SECRET_HASHER}$").count()
    except UNREADABLE:
        return 0
