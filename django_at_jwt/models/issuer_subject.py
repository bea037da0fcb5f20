"""Which user of this site a subject of another issuer is."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from django_at_jwt.core.subjects import subject_digest


class SubjectDigestField(models.CharField):  # type: ignore[type-arg] # It is generic to the type checker alone.
    """The digest of a row's issuer and subject, made whenever the row is written, ``bulk_create`` included.

    A unique constraint on the two columns themselves would take "A" for "a" on MySQL, and has a longest key there.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "max_length": 64, "unique": True, "editable": False})

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        """Say how a migration makes the field."""
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {key: value for key, value in kwargs.items() if key == "verbose_name"}

    def pre_save(self, model_instance: Any, add: bool) -> str:  # noqa: FBT001 - Django's own signature
        """Give the digest of what the row says now."""
        digest = subject_digest(model_instance.issuer, model_instance.subject)
        setattr(model_instance, self.attname, digest)
        return digest


class IssuerSubjectManager(models.Manager["IssuerSubject"]):
    """Finds rows by what they are about."""

    def get_by_natural_key(self, issuer: str, subject: str) -> IssuerSubject:
        """Give the row of a subject, as ``loaddata`` asks for it."""
        return self.get(digest=subject_digest(issuer, subject))


class IssuerSubject(models.Model):
    """A subject of an issuer and the user that it is here. One subject is one user; a user may be several subjects."""

    issuer = models.TextField(_("issuer"))
    subject = models.TextField(_("subject"))
    digest = SubjectDigestField(_("digest of issuer and subject"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="issuer_subjects", verbose_name=_("user")
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects: ClassVar[IssuerSubjectManager] = IssuerSubjectManager()

    class Meta:  # noqa: D106 - Django's own
        verbose_name = _("subject of an issuer")
        verbose_name_plural = _("subjects of issuers")
        ordering: ClassVar = ["pk"]

    def __str__(self) -> str:
        # A subject may be an e-mail address, and this ends up in logs.
        return f"subject {self.pk} of {self.issuer}"

    def natural_key(self) -> tuple[str, str]:
        """Give what the row is about, in place of its number."""
        return self.issuer, self.subject

    natural_key.dependencies = [settings.AUTH_USER_MODEL]  # type: ignore[attr-defined]

    def clean(self) -> None:
        """Refuse a second row for one subject, which a form cannot see by the two fields that it has."""
        same = type(self).objects.filter(digest=subject_digest(self.issuer, self.subject)).exclude(pk=self.pk)
        if same.exists():
            raise self.unique_error_message(type(self), ("issuer", "subject"))
