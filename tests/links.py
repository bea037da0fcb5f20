"""The links between access tokens and their rows, which tests find, expire and remove wherever they are stored."""

from __future__ import annotations

from django_at_jwt.authorization_server.revocation.issued_tokens import stored_link
from django_at_jwt.models import Authorization, IssuedToken
from django_at_jwt.models.authorization import FIRST_TOKEN_FIELDS


def link_of(token_id):
    """Return the link of a stored token."""
    link = stored_link(str(token_id))
    assert link is not None
    return link


def number_of_links():
    return IssuedToken.objects.count() + Authorization.objects.filter(first_token_id__isnull=False).count()


def expire_links(at):
    """Let the links of all tokens expire at an instant."""
    IssuedToken.objects.update(expires_at=at)
    Authorization.objects.filter(first_token_id__isnull=False).update(first_token_expires_at=at)


def forget_links():
    """Remove all links, as if the tokens were from before this app."""
    IssuedToken.objects.all().delete()
    Authorization.objects.update(**dict.fromkeys(FIRST_TOKEN_FIELDS))
