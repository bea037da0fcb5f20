"""Who a request comes from: the token as ``request.auth``, and whoever has no row here as ``request.user``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Literal

from django.apps import apps
from django.db.models.manager import EmptyManager

from django_at_jwt.core.subjects import subject_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.contrib.auth.models import Group, Permission

    from django_at_jwt.core.profile import AccessTokenClaims


class AccessToken:
    """A verified access token: ``request.auth``.

    It offers the claims, and what django-oauth-toolkit's permission classes ask of a token.
    """

    __slots__ = ("claims",)

    def __init__(self, claims: AccessTokenClaims) -> None:
        self.claims: Final = claims

    def __repr__(self) -> str:
        # Neither the token nor its claims: a repr ends up in logs and tracebacks.
        return f"<{type(self).__name__} {self.claims.token_id}>"

    @property
    def scope(self) -> str:
        """The granted scopes as the token has them, separated by spaces."""
        return self.claims.scope

    @property
    def scopes(self) -> frozenset[str]:
        """The granted scopes, one by one."""
        return self.claims.scopes

    @property
    def client_id(self) -> str:
        """The id of the client that the token was issued to."""
        return self.claims.client_id

    def get(self, claim: str, default: Any = None) -> Any:
        """Give any claim of the token."""
        return self.claims.raw.get(claim, default)

    def __getitem__(self, claim: str) -> Any:
        return self.claims.raw[claim]

    def __contains__(self, claim: object) -> bool:
        return claim in self.claims.raw

    @property
    def raw(self) -> Mapping[str, Any]:
        """All claims as they were in the token; treat them as read-only."""
        return self.claims.raw

    def is_expired(self) -> bool:
        """Tell whether ``exp`` has passed; no leeway here, the token was accepted with it."""
        return time.time() >= self.claims.expires_at

    def allow_scopes(self, scopes: Iterable[str] | None) -> bool:
        """Return whether the token has all of ``scopes``."""
        return self.scopes.issuperset(scopes or ())

    def is_valid(self, scopes: Iterable[str] | None = None) -> bool:
        """Return whether the token has all of ``scopes``. Its times were checked, with leeway, when it was accepted."""
        return self.allow_scopes(scopes)


class _Principal:
    """Somebody who is authenticated and has no row here: no permission, no group, and never staff.

    It answers what Django, its templates and Django REST framework ask of a user.
    """

    is_authenticated: Literal[True] = True
    is_anonymous: Literal[False] = False
    is_active: Literal[True] = True
    is_staff: Literal[False] = False
    is_superuser: Literal[False] = False

    issuer: str

    @property
    def pk(self) -> str:
        """An identifier for throttles and caches. No primary key looks like it, so that a lookup by it finds nobody."""
        raise NotImplementedError

    @property
    def id(self) -> str:
        """The same as :attr:`pk`."""
        return self.pk

    def __repr__(self) -> str:
        # Neither a subject nor a claim: a repr ends up in logs and tracebacks.
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
        """Give a name for logs and pages; it is no user's name."""
        return str(self)

    @property
    def groups(self) -> EmptyManager[Group]:
        """No groups: what a token says of groups is a claim."""
        return EmptyManager(apps.get_model("auth", "Group"))

    @property
    def user_permissions(self) -> EmptyManager[Permission]:
        """No permissions."""
        return EmptyManager(apps.get_model("auth", "Permission"))

    def get_user_permissions(self, _obj: object = None) -> set[str]:
        """Give no permissions."""
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
    """A client that acts for itself: ``request.user`` for client credentials (RFC 6749 §4.4).

    It is authenticated, and it is nobody: it has no row, no permission and no group, and is never staff. Clients of
    different issuers are different, whatever their ids.
    """

    def __init__(self, client_id: str, issuer: str) -> None:
        self.issuer = issuer
        self.client_id: Final = client_id

    @property
    def pk(self) -> str:
        """An identifier for throttles and caches, of the issuer and the client's id."""
        return f"client:{subject_digest(self.issuer, self.client_id)}"

    def __str__(self) -> str:
        return f"client:{self.client_id}"


class TokenPrincipal(_Principal):
    """A subject of whom this site keeps nothing: ``request.user`` for issuers whose user mode is ``stateless``.

    Two of them are equal where issuer and subject are, letter by letter, whatever else their tokens say.
    """

    def __init__(self, claims: AccessTokenClaims) -> None:
        self.issuer = claims.issuer
        self.claims: Final = claims
        self.subject: Final = claims.subject

    @property
    def pk(self) -> str:
        """An identifier for throttles and caches, of the issuer and the subject."""
        return f"subject:{subject_digest(self.issuer, self.subject)}"

    def __str__(self) -> str:
        return self.subject
