"""Resource servers that an administrator registers."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.utils.translation import gettext_lazy as _

from django_at_jwt.conf import app_settings
from django_at_jwt.core.resource_servers import ResourceServerConfig as RegisteredServer
from django_at_jwt.core.resource_servers import (
    TokenFormat,
    is_resource_identifier,
    read_client_ids,
    read_resource_server,
    read_scopes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class ResourceServerManager(models.Manager["ResourceServer"]):
    """Finds resource servers by their identifier, so that fixtures move from one site to another."""

    def get_by_natural_key(self, identifier: str) -> ResourceServer:
        """Give the resource server with an identifier."""
        return self.get(identifier=identifier)


class ResourceServer(models.Model):
    """An API that access tokens are issued for."""

    identifier = models.CharField(
        _("identifier"),
        max_length=255,
        unique=True,
        help_text=_(
            "An absolute URI, for instance https://api.example.com/. Clients ask for it in the resource parameter, and "
            "the API finds it in the aud claim of its tokens, letter by letter."
        ),
    )
    name = models.CharField(_("name"), max_length=100, help_text=_("Users read it when they are asked for consent."))
    description = models.TextField(
        _("description"), blank=True, help_text=_("What the API is for, in a sentence. Users read it, too.")
    )
    scopes = models.JSONField(
        _("scopes"),
        null=True,
        blank=True,
        help_text=_("The scopes that mean something to this API. Without any: those that no other API names."),
    )
    lifetime = models.PositiveIntegerField(
        _("lifetime"), null=True, blank=True, help_text=_("Of its tokens, in seconds. Without one: the site's.")
    )
    algorithm = models.CharField(
        _("algorithm"),
        max_length=16,
        blank=True,
        help_text=_("Its tokens are signed with it. Without one: the site's."),
    )
    token_format = models.CharField(
        _("format"),
        max_length=8,
        choices=[
            (TokenFormat.AT_JWT.value, _("at+jwt: a signed JWT, which the API verifies by itself")),
            (TokenFormat.OPAQUE.value, _("opaque: a random string, which the API has to introspect")),
        ],
        default=TokenFormat.AT_JWT.value,
    )
    open_to_all_clients = models.BooleanField(_("open to all clients"), default=True)
    clients = models.JSONField(
        _("clients"), default=list, blank=True, help_text=_("Only these may ask for it, if it is not open to all.")
    )
    isolated = models.BooleanField(
        _("isolated"),
        default=False,
        help_text=_("A client must name it in the resource parameter, and its tokens are for no other API as well."),
    )
    is_default = models.BooleanField(
        _("default"),
        default=False,
        help_text=_(
            "Tokens are for this API where a client asks for none. Saving it takes the mark from any other API."
        ),
    )
    enabled = models.BooleanField(
        _("enabled"), default=True, help_text=_("Switched off, there are no new tokens for this API.")
    )

    objects: ClassVar[ResourceServerManager] = ResourceServerManager()

    class Meta:  # noqa: D106 - Django's own
        verbose_name = _("resource server")
        verbose_name_plural = _("resource servers")
        ordering: ClassVar = ["identifier"]

    def __str__(self) -> str:
        return self.name or self.identifier

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the row. If it is the default, the one that was before is it no longer.

        As in the settings, the scopes may be a list. Nothing else is looked at: that is what ``full_clean()`` is for.
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
        """Give what identifies the row on any site."""
        return (self.identifier,)

    @property
    def registered(self) -> RegisteredServer:
        """The row as a plain value, read as an entry in the settings is.

        Raises:
            ValueError: a sentence that says what cannot be read. Rows that come from a fixture or from code have passed
                no form, and a JSON field takes anything.
        """
        options = {
            "name": self.name,
            "description": self.description,
            "format": self.token_format,
            "isolated": self.isolated,
            "enabled": self.enabled,
            **({} if self.scopes is None else {"scopes": self.scopes}),
            **({} if self.lifetime is None else {"lifetime": self.lifetime}),
            **({"algorithm": self.algorithm} if self.algorithm else {}),
            **({} if self.open_to_all_clients else {"clients": self.clients}),
        }
        return read_resource_server(self.identifier, options)

    def clean(self) -> None:
        """Check what the fields together must keep to.

        Raises:
            ValidationError: by field, with what to do.
        """
        problems: dict[str, list[Any]] = {}
        for field, problem in (
            *self._problems_of_the_api(),
            *self._problems_of_its_tokens(),
            *self._problems_of_default(),
        ):
            problems.setdefault(field, []).append(problem)
        if problems:
            raise ValidationError(problems)

    def _problems_of_the_api(self) -> Iterator[tuple[str, Any]]:
        if not is_resource_identifier(self.identifier):
            yield (
                "identifier",
                _("Write an absolute URI with a host, such as https://api.example.com/, and no fragment."),
            )
        if any(self.identifier == server.identifier for server in app_settings().resource_servers):
            yield "identifier", _("The settings declare this one already, in AT_JWT['RESOURCE_SERVERS'].")
        if self.scopes is not None:
            try:
                self.scopes = dict(read_scopes(self.scopes))
            except ValueError as error:
                yield "scopes", f"It {error}."
        try:
            read_client_ids(self.clients)
        except ValueError as error:
            yield "clients", f"It {error}."

    def _problems_of_its_tokens(self) -> Iterator[tuple[str, Any]]:
        settings = app_settings()
        if self.lifetime == 0:
            yield "lifetime", _("A token has to live for a second at the least.")
        retention = settings.retention
        if self.lifetime and retention is not None and self.lifetime + settings.leeway > retention.total_seconds():
            text = _(
                "Tokens would outlive their keys, which are published for %s after they signed: AT_JWT['RETENTION']."
            )
            yield "lifetime", text % retention
        if self.algorithm and self.algorithm not in settings.signing_algorithms:
            yield "algorithm", _("It is not in use. Add it to AT_JWT['SIGNING_ALGORITHMS'] first.")

    def _problems_of_default(self) -> Iterator[tuple[str, Any]]:
        if not self.is_default:
            return
        if self.isolated:
            yield "is_default", _("An isolated API must be asked for by name, so it cannot be the default.")
        if not self.enabled:
            yield "is_default", _("The default must be enabled.")
        if app_settings().default_resource not in {None, self.identifier}:
            yield "is_default", _("AT_JWT['DEFAULT_RESOURCE'] names another one. Take it out of the settings first.")
