"""Mixins for a site's own admin classes of users and clients."""

from .conf import require_installed

require_installed()

from .admin.revocation.mixins import LogOutEverywhereMixin, RevokeClientTokensMixin  # noqa: E402 - it imports the models

__all__ = ["LogOutEverywhereMixin", "RevokeClientTokensMixin"]
