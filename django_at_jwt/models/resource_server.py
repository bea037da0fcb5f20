"""Resource servers in the database."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from django_at_jwt.conf import app_settings
from django_at_jwt.core.resource_servers import ResourceServerConfig as RegisteredServer
from django_at_jwt.core.resource_servers import (
    TokenFormat,
    canonical_identifier,
    is_resource_identifier,
    read_aliases,
    read_client_ids,
    read_resource_server,
    read_scopes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class ResourceServerManager(models.Manager["ResourceServer"]):
    """Finds resource servers by identifier, as fixtures do."""

    def get_by_natural_key(self, identifier: str) -> ResourceServer:
        """Return the resource server with this identifier."""
        return self.get(identifier=identifier)


class ResourceServer(models.Model):
    """An API that access tokens are issued for."""

    identifier = models.CharField(
        _("identifier"),
        max_length=255,
        unique=True,
        help_text=_(
            "An absolute URI, for instance https://api.example.com/. Clients request it with the resource parameter, "
            "and the aud claim of tokens for the API contains exactly this value."
        ),
    )
    aliases = models.JSONField(
        _("former identifiers"),
        # Null, so that code from before this column can add rows.
        null=True,
        blank=True,
        default=list,
        help_text=_(
            "If the API has moved. Requests may still name them, and existing refresh tokens keep working, but the aud "
            "claim of new tokens contains the identifier above."
        ),
    )
    name = models.CharField(_("name"), max_length=100, help_text=_("Shown to users on the consent page."))
    description = models.TextField(
        _("description"), blank=True, help_text=_("What the API is for, in one sentence. Shown on the consent page.")
    )
    scopes = models.JSONField(
        _("scopes"),
        null=True,
        blank=True,
        help_text=_("Scopes that this API understands. If empty: all scopes that no other API lists."),
    )
    lifetime = models.PositiveIntegerField(
        _("lifetime"), null=True, blank=True, help_text=_("Of its tokens, in seconds. If empty: the site's default.")
    )
    algorithm = models.CharField(
        _("algorithm"),
        max_length=16,
        blank=True,
        help_text=_("Algorithm that signs its tokens. If empty: the site's default."),
    )
    token_format = models.CharField(
        _("format"),
        max_length=8,
        choices=[
            (TokenFormat.AT_JWT.value, _("at+jwt: a signed JWT, which the API verifies itself")),
            (TokenFormat.OPAQUE.value, _("opaque: a random string, which the API must introspect")),
        ],
        default=TokenFormat.AT_JWT.value,
    )
    open_to_all_clients = models.BooleanField(
        _("open to all clients"),
        default=False,
        help_text=_("Any client may request it, now or later, except clients that register themselves."),
    )
    open_to_registered_clients = models.BooleanField(
        _("open to clients that register themselves"),
        default=False,
        db_default=False,
        help_text=_(
            "Any client that registered itself, or that is identified by a metadata document, may request it. Anyone "
            "may have chosen its name and where it sends users."
        ),
    )
    clients = models.JSONField(
        _("clients"),
        default=list,
        blank=True,
        help_text=_("Further clients that get tokens for it, including clients that registered themselves."),
    )
    introspection_clients = models.JSONField(
        _("introspecting clients"),
        default=list,
        blank=True,
        help_text=_("Clients that may introspect its tokens: usually the API's own."),
    )
    isolated = models.BooleanField(
        _("isolated"),
        default=False,
        help_text=_("Clients must request it with the resource parameter, and its tokens are for no other API."),
    )
    is_default = models.BooleanField(
        _("default"),
        default=False,
        help_text=_("Tokens are for this API if a client requests none. Saving it unmarks any other default."),
    )
    enabled = models.BooleanField(
        _("enabled"),
        default=True,
        help_text=_("If off, no new tokens are issued for this API, and those already issued are revoked."),
    )

    objects: ClassVar[ResourceServerManager] = ResourceServerManager()

    class Meta:  # noqa: D106 - Django's own
        verbose_name = _("resource server")
        verbose_name_plural = _("resource servers")
        ordering: ClassVar = ["identifier"]

    def __str__(self) -> str:
        return self.name or self.identifier

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the row. If it is the default, unmark any other default.

        As in the settings, ``scopes`` may be a list. Not checked: anything else; call ``full_clean()`` for that.
        """
        if isinstance(self.scopes, (list, tuple)):
            with suppress(ValueError):
                self.scopes = dict(read_scopes(self.scopes))
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        with transaction.atomic(using=using):
            if self.is_default:
                others = type(self)._base_manager.using(using).filter(is_default=True).exclude(pk=self.pk)
                others.update(is_default=False)
            super().save(*args, **kwargs)

    def natural_key(self) -> tuple[str]:
        """Return the identifier, by which fixtures refer to the row."""
        return (self.identifier,)

    @property
    def names(self) -> tuple[str, ...]:
        """The identifier and the former ones; only the identifier if the former ones are invalid."""
        try:
            return (self.identifier, *read_aliases(self.aliases or ()))
        except ValueError:
            return (self.identifier,)

    @property
    def registered(self) -> RegisteredServer:
        """The row as a plain value, validated like an entry in the settings.

        Raises:
            ValueError: with the rest of a sentence. Fixtures and code can store rows that the form would reject.
        """
        options = {
            "name": self.name,
            "description": self.description,
            "format": self.token_format,
            "introspection_clients": self.introspection_clients,
            "registered_clients": self.open_to_registered_clients,
            "isolated": self.isolated,
            "enabled": self.enabled,
            **({} if self.aliases is None else {"aliases": self.aliases}),
            **({} if self.scopes is None else {"scopes": self.scopes}),
            **({} if self.lifetime is None else {"lifetime": self.lifetime}),
            **({"algorithm": self.algorithm} if self.algorithm else {}),
            **({} if self.open_to_all_clients else {"clients": self.clients}),
        }
        return read_resource_server(self.identifier, options)

    def clean(self) -> None:
        """Check the fields against each other and against the settings.

        Raises:
            ValidationError: with the problems by field.
        """
        problems: dict[str, list[Any]] = {}
        for field, problem in (
            *self._api_problems(),
            *self._token_problems(),
            *self._default_problems(),
        ):
            problems.setdefault(field, []).append(problem)
        if problems:
            raise ValidationError(problems)

    def _api_problems(self) -> Iterator[tuple[str, Any]]:
        if not is_resource_identifier(self.identifier):
            yield (
                "identifier",
                _("Enter an absolute URI with a host and without a fragment, such as https://api.example.com/."),
            )
        yield from self._name_problems()
        if self.scopes is not None:
            try:
                self.scopes = dict(read_scopes(self.scopes))
            except ValueError as error:
                yield "scopes", f"It {error}."
        for field in ("clients", "introspection_clients"):
            try:
                read_client_ids(getattr(self, field))
            except ValueError as error:
                yield field, f"It {error}."

    def _name_problems(self) -> Iterator[tuple[str, Any]]:
        """Yield the fields whose identifiers are invalid or equivalent to another one, and the problem."""
        try:
            aliases = read_aliases(self.aliases or ())
        except ValueError as error:
            yield "aliases", f"It {error}."
            return
        settings = app_settings()
        taken: dict[str, Any] = {}
        # Django reports a row with the very same identifier.
        for row in type(self)._default_manager.exclude(pk=self.pk).exclude(identifier=self.identifier):
            taken |= {name: _("It belongs to the resource server “%s”.") % row for name in row.names}
        for server in settings.resource_servers:
            taken |= dict.fromkeys(server.names, _('This API is already declared in AT_JWT["RESOURCE_SERVERS"].'))
        # The row itself may describe the default.
        if settings.default_resource not in {None, self.identifier}:
            taken[settings.default_resource] = _('AT_JWT["DEFAULT_RESOURCE"] is the same API.')
        problems = {canonical_identifier(name): text for name, text in taken.items() if is_resource_identifier(name)}
        names = [("identifier", self.identifier)] if is_resource_identifier(self.identifier) else []
        for field, name in (*names, *(("aliases", alias) for alias in aliases)):
            canonical = canonical_identifier(name)
            if canonical in problems:
                yield field, format_lazy("{}: {}", name, problems[canonical])
            same = _("It is the same as the identifier.") if field == "identifier" else _("It is listed twice.")
            problems.setdefault(canonical, same)

    def _token_problems(self) -> Iterator[tuple[str, Any]]:
        settings = app_settings()
        if self.lifetime == 0:
            yield "lifetime", _("The lifetime must be at least one second.")
        retention = settings.retention
        if self.lifetime and retention is not None and self.lifetime + settings.leeway > retention.total_seconds():
            text = _(
                'Tokens would outlive their keys, which stay published for %s after signing (AT_JWT["RETENTION"]).'
            )
            yield "lifetime", text % retention
        if self.algorithm and self.algorithm not in settings.signing_algorithms:
            yield "algorithm", _('This algorithm is not in use. Add it to AT_JWT["SIGNING_ALGORITHMS"] first.')

    def _default_problems(self) -> Iterator[tuple[str, Any]]:
        if not self.is_default:
            return
        if self.isolated:
            yield "is_default", _("Clients must request an isolated API by name, so it cannot be the default.")
        if not self.enabled:
            yield "is_default", _("The default must be enabled.")
        if app_settings().default_resource not in {None, self.identifier}:
            yield "is_default", _('AT_JWT["DEFAULT_RESOURCE"] is another API. Remove it from the settings first.')
