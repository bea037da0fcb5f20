"""What stands for the preview of access tokens where Django looks for a model: on the index of the admin site."""

from __future__ import annotations

from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from .claim_mapper import ClaimMapper


class TokenPreview(ClaimMapper):
    """No rows of its own: what the index of the admin lists the page under that shows a token before it is issued.

    It is a proxy of claim mappers only because a model without a table has to be a proxy of some model. Nothing reads
    rows through it.
    """

    class Meta:  # noqa: D106 - Django's own
        proxy = True
        default_permissions: ClassVar = ()
        verbose_name = _("preview of an access token")
        verbose_name_plural = _("previews of access tokens")
