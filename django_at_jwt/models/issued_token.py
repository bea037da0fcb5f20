"""The link between a row of an access token and the ``jti`` in the token."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_at_jwt.core.token_id import LONGEST_TOKEN_ID


class IssuedToken(models.Model):
    """The ``jti`` and the authorization of a row in django-oauth-toolkit's access token table.

    There is no foreign key: that table may be in another database. The row of a token does not name it otherwise, since
    it only stores the hash of the token, and a token may have several valid signatures.
    """

    access_token = models.CharField(_("primary key of the access token"), max_length=64, unique=True)
    token_id = models.CharField(_("jti"), max_length=LONGEST_TOKEN_ID, db_index=True)
    # Empty if the client acts for itself.
    authorization = models.CharField(_("authorization"), max_length=32, blank=True, db_index=True)
    has_refresh_token = models.BooleanField(_("has a refresh token"), default=False)
    expires_at = models.DateTimeField(_("expires at"), db_index=True)

    class Meta:  # noqa: D106 - Django's own
        verbose_name = _("issued token")
        verbose_name_plural = _("issued tokens")
        default_permissions = ()

    def __str__(self) -> str:
        return f"issued token {self.pk}"
