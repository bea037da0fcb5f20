"""Tokens to be revoked, and what is left of them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass

from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from django_at_jwt.authorization_server.revocation.issued_tokens import link_of_row
from django_at_jwt.models import Authorization, DenyListEntry, IssuedToken
from tests.conftest import captured_statements, decoded


@dataclass
class Granted:
    """The tokens of a response, with their rows."""

    client: object
    response: dict
    access_token: object
    refresh_token: object

    @property
    def token_id(self):
        return decoded(self.response["access_token"])[1]["jti"]

    @property
    def authorization(self):
        return Authorization.objects.get(family=self.refresh_token.token_family)

    def is_live(self):
        """Return whether the rows of both tokens can still be used."""
        access = get_access_token_model().objects.filter(pk=self.access_token.pk, expires__gt=timezone.now()).exists()
        if self.refresh_token is None:
            return access
        refresh = get_refresh_token_model().objects.get(pk=self.refresh_token.pk).revoked is None
        assert access == refresh
        return access

    def refresh(self):
        return self.client.token("refresh_token", refresh_token=self.response["refresh_token"])


def granted(client, response):
    """Return the tokens of a token response, and link the access token to its authorization."""
    assert response.status_code == 200, response.content
    access_token = get_access_token_model().objects.order_by("pk").last()
    refresh_token = get_refresh_token_model().objects.filter(access_token=access_token).first()
    found = Granted(client, response.json(), access_token, refresh_token)
    identifier = "" if refresh_token is None else found.authorization.identifier
    if link_of_row(access_token) is None:
        IssuedToken.objects.create(
            access_token=str(access_token.pk),
            token_id=found.token_id,
            authorization=identifier,
            expires_at=access_token.expires,
        )
    return found


def entries():
    return [(row.kind, row.value) for row in DenyListEntry.objects.order_by("pk")]


@contextmanager
def revoking_statements():
    """Return the statements of a block, without those that read the resource servers again after a second."""
    with captured_statements() as statements:
        yield (counted := [])
    counted.extend(each for each in statements if "resourceserver" not in each)
