"""The scopes that views and permissions need. A mistake must never be taken for "no scope is needed"."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from functools import singledispatch
from itertools import islice, product
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ImproperlyConfigured
from rest_framework.exceptions import APIException, MethodNotAllowed
from rest_framework.permissions import AND, OR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rest_framework.request import Request
    from rest_framework.views import APIView

    ScopeSets = list[tuple[str, ...]]

logger = logging.getLogger("django_at_jwt")

# RFC 6749 §3.3. A scope cannot hold a space, so "read write" in one string is two of them, or a slip.
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_METHOD: Final = re.compile(r"[A-Z]+")
# Combinations multiply: 40 pairs joined by "and" would have 2 ** 40 sets.
_MOST_SETS: Final = 64


def checked_scopes(scopes: object, *, where: str) -> tuple[str, ...]:
    """Return a list of scopes as a tuple.

    Raises:
        ImproperlyConfigured: it is a string or something else that is no list, or an entry cannot be a scope.
    """
    if isinstance(scopes, str) or not isinstance(scopes, Sequence | set | frozenset):
        raise ImproperlyConfigured(f"{where} must be a list of scopes, not {scopes!r}.")
    for scope in scopes:
        if not isinstance(scope, str) or not _SCOPE.fullmatch(scope):
            raise ImproperlyConfigured(f"{where} holds {scope!r}, which is no scope (RFC 6749 section 3.3).")
    return tuple(dict.fromkeys(sorted(scopes) if isinstance(scopes, set | frozenset) else scopes))


def scopes_for_request(said: object, request: Request, view: APIView, *, where: str) -> tuple[str, ...] | None:
    """Return the scopes for this request, of a list, or of a dict by HTTP method or by the action of a view set.

    ``HEAD`` needs what ``GET`` needs, and so does ``OPTIONS``, unless the dict has an entry for it.

    Returns:
        ``None`` for an ``OPTIONS`` request that there is no entry for.

    Raises:
        ImproperlyConfigured: the dict has no entry for something that the view does.
        MethodNotAllowed: the view does nothing of that kind.
    """
    if not isinstance(said, Mapping):
        return checked_scopes(said, where=where)
    for key in _keys(request, view):
        if key in said:
            return checked_scopes(said[key], where=f"{where}[{key!r}]")
    method = str(request.method)
    if method == "OPTIONS":
        return None
    if method.lower() not in view.http_method_names or not hasattr(view, method.lower()):
        # The view's own answer would be this one. It must not depend on that: what is not listed stays closed.
        raise MethodNotAllowed(method)
    raise ImproperlyConfigured(f"{where} has no entry for {' or '.join(map(repr, _keys(request, view)))}.")


def _keys(request: Request, view: APIView) -> Iterator[str]:
    method = str(request.method)
    # Whoever makes the OpenAPI schema sets this to None on a view that is no view set.
    actions = getattr(view, "action_map", None)
    for each in (method, "GET") if method in {"HEAD", "OPTIONS"} else (method,):
        # The action goes with the method, and not with ``view.action``: a view set that answers OPTIONS asks in turn
        # who may do what.
        if actions and each.lower() in actions:
            yield actions[each.lower()]
        yield each


def checked_mapping(said: Mapping[Any, object], *, where: str) -> dict[str, tuple[str, ...]]:
    """Return a dict of scopes by method or action, each entry checked.

    Raises:
        ImproperlyConfigured: as :func:`checked_scopes`, or a key can be neither.
    """
    for key in said:
        if not isinstance(key, str) or not (_METHOD.fullmatch(key) or (key.isidentifier() and not key.isupper())):
            raise ImproperlyConfigured(f"{where} has the key {key!r}, which is no HTTP method and no action.")
    return {key: checked_scopes(scopes, where=f"{where}[{key!r}]") for key, scopes in said.items()}


def view_attribute(view: APIView, attribute: str, *, permission: object) -> Any:
    """Return an attribute that a view must have.

    Raises:
        ImproperlyConfigured: it has none. A permission that was not told what to ask for lets nobody in.
    """
    said = getattr(view, attribute, None)
    if said is None:
        name = type(permission).__name__
        raise ImproperlyConfigured(f"{type(view).__name__} uses {name}, and so it needs the attribute {attribute}.")
    return said


@singledispatch
def scope_alternatives(permission: object, request: Request, view: APIView) -> Iterable[Sequence[str]] | None:
    """Return the sets of scopes of which a permission asks for one, or ``None`` if it does not decide by scopes alone.

    Register a function for a permission class of your own, so that the 401 to a request without credentials and the
    OpenAPI schema name its scopes.
    """
    del permission, request, view
    return None


def sufficient_scopes(
    permission: object, request: Request, view: APIView, *, by_scopes_alone: bool = False
) -> ScopeSets:
    """Return the sets of scopes of which each is enough for a permission, as far as scopes decide.

    ``&`` and ``|`` are followed, whether they are Django REST framework's or ours. ``~`` and permissions that do not
    decide by scopes alone need no scope: the result is one empty set. It is an empty list if no scope is enough.

    Args:
        by_scopes_alone: leave out the sides of ``|`` that need no scope, since they have refused the request.
    """
    if isinstance(permission, AND | OR):
        one, other = (
            sufficient_scopes(operand, request, view, by_scopes_alone=by_scopes_alone)
            for operand in (permission.op1, permission.op2)  # type: ignore[union-attr]
        )
        if isinstance(permission, AND):
            return joined([one, other])
        either = [*one, *other]
        return [scopes for scopes in either if scopes] if by_scopes_alone and any(either) else either
    alternatives = scope_alternatives(permission, request, view)
    return [()] if alternatives is None else [tuple(scopes) for scopes in alternatives]


def joined(groups: Iterable[ScopeSets]) -> ScopeSets:
    """Return the sets of scopes that are enough for several permissions, at most 64 of them."""
    sets: ScopeSets = [()]
    for group in groups:
        unions = (tuple(dict.fromkeys((*one, *other))) for one, other in product(sets, group))
        sets = list(islice(dict.fromkeys(unions), _MOST_SETS))
    return sets


def sufficient_scopes_for_view(view: APIView, request: Request) -> ScopeSets:
    """Return the sets of scopes of which each is enough for all permissions of a view, as far as scopes decide."""
    return joined(sufficient_scopes(permission, request, view) for permission in view.get_permissions())


def scopes_to_ask_for(request: Request, view: APIView) -> tuple[str, ...]:
    """Return the smallest set of scopes that is enough for a view, for a request without credentials.

    It is empty if the view does not handle such a request, or does not say what it needs: a client without
    credentials is told no more than that.
    """
    try:
        return min(sufficient_scopes_for_view(view, request), key=len, default=())
    except (APIException, ImproperlyConfigured):
        return ()
    except Exception:
        # The site's own code expects a user or a token here. That must not turn a 401 into a 500.
        logger.exception("Cannot name the scopes of %s to a client without a token", type(view).__name__)
        return ()
