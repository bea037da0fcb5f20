"""Who a request comes from: the token as ``request.auth``, and a client that acts for itself as ``request.user``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django_at_jwt.core.profile import AccessTokenClaims


class AccessToken:
    """A verified access token: ``request.auth``.

    It offers the claims, and what django-oauth-toolkit's permission classes ask of a token.
    """

    __slots__ = ("claims", "refused_scopes")

    def __init__(self, claims: AccessTokenClaims) -> None:
        self.claims: Final = claims
        self.refused_scopes: tuple[str, ...] = ()

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
        """Tell whether the token has all of ``scopes``. A refusal is remembered for the challenge of the answer."""
        wanted = tuple(scopes or ())
        allowed = self.scopes.issuperset(wanted)
        if not allowed:
            self.refused_scopes = wanted
        return allowed

    def is_valid(self, scopes: Iterable[str] | None = None) -> bool:
        """Tell whether the token has all of ``scopes``. Its times were checked, with leeway, when it was accepted."""
        return self.allow_scopes(scopes)


class TokenPrincipal:
    """A user of another issuer, of whom this site keeps nothing: all that is known is in the token.

    Like :class:`MachinePrincipal` it is authenticated and has no row, no permission and no group.
    """

    is_authenticated: Literal[True] = True
    is_anonymous: Literal[False] = False
    is_active: Literal[True] = True
    is_staff: Literal[False] = False
    is_superuser: Literal[False] = False

    def __init__(self, claims: AccessTokenClaims) -> None:
        self.claims: Final = claims
        self.issuer: Final = claims.issuer
        self.subject: Final = claims.subject
        # A subject means something together with its issuer alone, and no user's primary key looks like this.
        self.pk: Final = f"subject:{claims.issuer}:{claims.subject}"
        self.id: Final = self.pk

    def __str__(self) -> str:
        return self.subject

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenPrincipal) and (other.issuer, other.subject) == (self.issuer, self.subject)

    def __hash__(self) -> int:
        return hash((self.issuer, self.subject))

    def get_username(self) -> str:
        """Give a name for logs; it is no user's name."""
        return self.pk

    def has_perm(self, _perm: str, _obj: object = None) -> bool:
        """Refuse: a token has scopes, not permissions."""
        return False

    def has_perms(self, _perms: Iterable[str], _obj: object = None) -> bool:
        """Refuse: a token has scopes, not permissions."""
        return False

    def has_module_perms(self, _app_label: str) -> bool:
        """Refuse: a token has scopes, not permissions."""
        return False


class MachinePrincipal:
    """A client that acts for itself: ``request.user`` for client credentials (RFC 6749 §4.4).

    It is authenticated, and it is nobody: it has no row, no permission and no group, and is never staff.
    """

    is_authenticated: Literal[True] = True
    is_anonymous: Literal[False] = False
    is_active: Literal[True] = True
    is_staff: Literal[False] = False
    is_superuser: Literal[False] = False

    def __init__(self, client_id: str) -> None:
        self.client_id: Final = client_id
        # No user's primary key looks like this, so that a lookup by it finds nobody, whatever the client's id is.
        self.pk: Final = f"client:{client_id}"
        self.id: Final = self.pk

    def __str__(self) -> str:
        return self.pk

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.client_id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MachinePrincipal) and other.client_id == self.client_id

    def __hash__(self) -> int:
        return hash((MachinePrincipal, self.client_id))

    def get_username(self) -> str:
        """Give a name for logs; it is no user's name."""
        return self.pk

    def has_perm(self, _perm: str, _obj: object = None) -> bool:
        """Refuse: a client has scopes, not permissions."""
        return False

    def has_perms(self, _perms: Iterable[str], _obj: object = None) -> bool:
        """Refuse: a client has scopes, not permissions."""
        return False

    def has_module_perms(self, _app_label: str) -> bool:
        """Refuse: a client has scopes, not permissions."""
        return False
