"""``request.user`` for clients that act for themselves, and for subjects without a row at this site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from django.apps import apps
from django.db.models.manager import EmptyManager

from django_at_jwt.core.subjects import subject_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.contrib.auth.models import Group, Permission

    from django_at_jwt.core.profile import AccessTokenClaims


class _Principal:
    """An authenticated principal without a row at this site, without permissions and groups, and never staff.

    It has the attributes that Django, its templates and Django REST framework expect of a user.
    """

    is_authenticated: Literal[True] = True
    is_anonymous: Literal[False] = False
    is_active: Literal[True] = True
    is_staff: Literal[False] = False
    is_superuser: Literal[False] = False

    issuer: str

    @property
    def pk(self) -> str:
        """An identifier for throttles and caches. It is unlike any primary key, so a lookup by it finds no user."""
        raise NotImplementedError

    @property
    def id(self) -> str:
        """The same as :attr:`pk`."""
        return self.pk

    def __repr__(self) -> str:
        # Without subject and claims, since a repr ends up in logs and tracebacks.
        return f"<{type(self).__name__} {self.pk}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and other.pk == self.pk

    def __hash__(self) -> int:
        return hash(self.pk)

    @property
    def username(self) -> str:
        """The same as :meth:`get_username`."""
        return self.get_username()

    def get_username(self) -> str:
        """Return a name for logs and pages. It is not the name of a user of this site."""
        return str(self)

    @property
    def groups(self) -> EmptyManager[Group]:
        """No groups: the groups in a token are only a claim."""
        return EmptyManager(apps.get_model("auth", "Group"))

    @property
    def user_permissions(self) -> EmptyManager[Permission]:
        """No permissions."""
        return EmptyManager(apps.get_model("auth", "Permission"))

    def get_user_permissions(self, _obj: object = None) -> set[str]:
        """Return no permissions."""
        return set()

    get_group_permissions = get_all_permissions = get_user_permissions

    def has_perm(self, _perm: str, _obj: object = None) -> bool:
        """Refuse: a token has scopes, not permissions."""
        return False

    def has_perms(self, _perms: Iterable[str], _obj: object = None) -> bool:
        """Refuse: a token has scopes, not permissions."""
        return False

    def has_module_perms(self, _app_label: str) -> bool:
        """Refuse: a token has scopes, not permissions."""
        return False


class MachinePrincipal(_Principal):
    """A client that acts for itself: ``request.user`` for client credentials (RFC 6749 section 4.4).

    It is authenticated, but has no row, no permissions and no groups, and is never staff. Clients of different issuers
    are different, even if their IDs are equal.
    """

    def __init__(self, client_id: str, issuer: str) -> None:
        self.issuer = issuer
        self.client_id: Final = client_id

    @property
    def pk(self) -> str:
        """An identifier for throttles and caches, computed from issuer and client ID."""
        return f"client:{subject_digest(self.issuer, self.client_id)}"

    def __str__(self) -> str:
        return f"client:{self.client_id}"


class TokenPrincipal(_Principal):
    """A subject without a row at this site: ``request.user`` for issuers whose user mode is ``stateless``.

    Two are equal if issuer and subject are, whatever their other claims.
    """

    def __init__(self, claims: AccessTokenClaims) -> None:
        self.issuer = claims.issuer
        self.claims: Final = claims
        self.subject: Final = claims.subject

    @property
    def pk(self) -> str:
        """An identifier for throttles and caches, computed from issuer and subject."""
        return f"subject:{subject_digest(self.issuer, self.subject)}"

    def __str__(self) -> str:
        return self.subject
