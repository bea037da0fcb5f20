"""The link between a row of an access token and the ``jti`` in the token."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from django.db import connections, models, router
from django.utils.translation import gettext_lazy as _

from django_at_jwt.core.token_id import LONGEST_TOKEN_ID


class IssuedToken(models.Model):
    """The ``jti`` and the authorization of a row in django-oauth-toolkit's access token table.

    The first token of an authorization has no row here if it is a JWT: its link is part of the authorization.

    There is no foreign key: that table may be in another database. The row of a token does not name it otherwise, since
    it only stores the hash of the token, and a token may have several valid signatures.
    """

    access_token = models.CharField(_("primary key of the access token"), max_length=64)
    token_id = models.CharField(_("jti"), max_length=LONGEST_TOKEN_ID)
    # Empty if the client acts for itself.
    authorization = models.CharField(_("authorization"), max_length=32, blank=True)
    # Empty for an opaque token, and NULL if unknown: the token is from before this column.
    kid = models.CharField(_("kid of the signing key"), max_length=43, blank=True, null=True)  # noqa: DJ001
    has_refresh_token = models.BooleanField(_("has a refresh token"), default=False)
    expires_at = models.DateTimeField(_("expires at"), db_index=True)

    class Meta:  # noqa: D106 - Django's own
        verbose_name = _("issued token")
        verbose_name_plural = _("issued tokens")
        default_permissions = ()
        # Not on the fields: there, Django adds to each index on PostgreSQL a second one for LIKE.
        indexes: ClassVar = [
            models.Index(fields=["token_id"], name="at_jwt_issued_jti"),
            models.Index(fields=["authorization"], name="at_jwt_issued_authorization"),
            models.Index(fields=["kid", "expires_at"], name="at_jwt_issued_key"),
        ]
        constraints: ClassVar = [models.UniqueConstraint(fields=["access_token"], name="at_jwt_issued_access_token")]

    def __str__(self) -> str:
        return f"issued token {self.pk}"

    def insert(self) -> None:
        """Store a new row, without signals. The instance gets no primary key.

        Every token with a row needs this statement. ``save()`` would compose it anew, a fifteenth of a token request.

        Raises:
            django.db.IntegrityError: the access token has a link.
        """
        connection = connections[router.db_for_write(IssuedToken)]
        statement, fields = _insertion(connection.alias)
        values = [field.get_db_prep_save(getattr(self, field.attname), connection) for field in fields]
        with connection.cursor() as cursor:
            cursor.execute(statement, values)


@cache
def _insertion(database: str) -> tuple[str, tuple[models.Field[Any, Any], ...]]:
    """Return the SQL that inserts a row, and the fields of its parameters."""
    quote = connections[database].ops.quote_name
    fields = tuple(field for field in IssuedToken._meta.concrete_fields if not field.primary_key)
    columns = ", ".join(quote(str(field.column)) for field in fields)
    places = ", ".join("%s" for _field in fields)
    table = quote(IssuedToken._meta.db_table)
    return f"INSERT INTO {table} ({columns}) VALUES ({places})", fields  # noqa: S608 - names and places only
