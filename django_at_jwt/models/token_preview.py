"""The model that lists the access token preview on the index of the admin site."""

from __future__ import annotations

from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from .claim_mapper import ClaimMapper


class TokenPreview(ClaimMapper):
    """The entry of the access token preview in the admin.

    A model without a table must be a proxy of another model. No rows are read through it.
    """

    class Meta:  # noqa: D106 - Django's own
        proxy = True
        default_permissions: ClassVar = ()
        verbose_name = _("preview of an access token")
        verbose_name_plural = _("previews of access tokens")
