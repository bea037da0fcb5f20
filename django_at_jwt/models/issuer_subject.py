"""The table of subjects: the users of this site that subjects of remote issuers are mapped to."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from django_at_jwt.core.subjects import subject_digest


class SubjectDigestField(models.CharField):  # type: ignore[type-arg] # Generic only for the type checker.
    """The digest of a row's issuer and subject, computed whenever the row is written, also by ``bulk_create``.

    On MySQL, a unique constraint on the two columns would ignore case and exceed the maximum key length.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "max_length": 64, "unique": True, "editable": False})

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        """Return the arguments to construct the field in a migration."""
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {key: value for key, value in kwargs.items() if key == "verbose_name"}

    def pre_save(self, model_instance: Any, add: bool) -> str:  # noqa: FBT001 - Django's own signature
        """Return the digest of the row's current issuer and subject."""
        digest = subject_digest(model_instance.issuer, model_instance.subject)
        setattr(model_instance, self.attname, digest)
        return digest


class IssuerSubjectManager(models.Manager["IssuerSubject"]):
    """Finds rows by issuer and subject, as fixtures do."""

    def get_by_natural_key(self, issuer: str, subject: str) -> IssuerSubject:
        """Return the row of a subject."""
        return self.get(digest=subject_digest(issuer, subject))


class IssuerSubject(models.Model):
    """A subject of a remote issuer and its user on this site. A subject has one user; a user may have several."""

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
        # Not the subject: it may be an e-mail address, and this text is logged.
        return f"subject {self.pk} of {self.issuer}"

    def natural_key(self) -> tuple[str, str]:
        """Return the issuer and the subject, by which fixtures refer to the row."""
        return self.issuer, self.subject

    natural_key.dependencies = [settings.AUTH_USER_MODEL]  # type: ignore[attr-defined]

    def clean(self) -> None:
        """Check that the subject has no other row, which a form without the digest field cannot detect.

        Raises:
            ValidationError: the subject already has a row.
        """
        same = type(self).objects.filter(digest=subject_digest(self.issuer, self.subject)).exclude(pk=self.pk)
        if same.exists():
            raise self.unique_error_message(type(self), ("issuer", "subject"))
