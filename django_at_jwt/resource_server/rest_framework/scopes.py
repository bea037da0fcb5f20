"""The scopes that views and permissions require. A mistake must never be taken for "no scope is required"."""

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

from django_at_jwt.core.bearer import is_scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rest_framework.request import Request
    from rest_framework.views import APIView

    ScopeSets = list[tuple[str, ...]]

logger = logging.getLogger("django_at_jwt")

_METHOD: Final = re.compile(r"[A-Z]+")
# Combinations multiply: 40 pairs joined by "and" would make 2 ** 40 sets.
_MAX_SETS: Final = 64


def checked_scopes(scopes: object, *, where: str) -> tuple[str, ...]:
    """Return a list of scopes as a tuple.

    Raises:
        ImproperlyConfigured: it is not a list, tuple or set, or an item is not a valid scope.
    """
    if isinstance(scopes, str) or not isinstance(scopes, Sequence | set | frozenset):
        raise ImproperlyConfigured(f"{where} must be a list of scopes (got {scopes!r}).")
    for scope in scopes:
        if not is_scope(scope):
            raise ImproperlyConfigured(f"{where} has {scope!r}, which is not a valid scope (RFC 6749 section 3.3).")
    return tuple(dict.fromkeys(sorted(scopes) if isinstance(scopes, set | frozenset) else scopes))


def scopes_for_request(scopes: object, request: Request, view: APIView, *, where: str) -> tuple[str, ...] | None:
    """Return the scopes for this request, from a list, or from a dict by HTTP method or by the action of a view set.

    ``HEAD`` and ``OPTIONS`` use the entry for ``GET``, unless the dict has one for them.

    Returns:
        ``None`` for an ``OPTIONS`` request without an entry.

    Raises:
        ImproperlyConfigured: the dict has no entry for a method that the view handles.
        MethodNotAllowed: the view does not handle the method.
    """
    if not isinstance(scopes, Mapping):
        return checked_scopes(scopes, where=where)
    for key in _keys(request, view):
        if key in scopes:
            return checked_scopes(scopes[key], where=f"{where}[{key!r}]")
    method = str(request.method)
    if method == "OPTIONS":
        return None
    if method.lower() not in view.http_method_names or not hasattr(view, method.lower()):
        # The view would answer the same, but must not be relied on: methods without an entry stay closed.
        raise MethodNotAllowed(method)
    raise ImproperlyConfigured(f"{where} has no entry for {' or '.join(map(repr, _keys(request, view)))}.")


def _keys(request: Request, view: APIView) -> Iterator[str]:
    method = str(request.method)
    # drf-spectacular sets it to None on a view that is not a view set.
    actions = getattr(view, "action_map", None)
    for each in (method, "GET") if method in {"HEAD", "OPTIONS"} else (method,):
        # By method rather than ``view.action``: to answer OPTIONS, a view set checks the permissions of each method.
        if actions and each.lower() in actions:
            yield actions[each.lower()]
        yield each


def checked_mapping(mapping: Mapping[Any, object], *, where: str) -> dict[str, tuple[str, ...]]:
    """Return a dict of scopes by HTTP method or action as a dict of tuples.

    Raises:
        ImproperlyConfigured: as :func:`checked_scopes`, or a key is neither a method nor an action.
    """
    for key in mapping:
        if not isinstance(key, str) or not (_METHOD.fullmatch(key) or (key.isidentifier() and not key.isupper())):
            raise ImproperlyConfigured(f"{where} has the key {key!r}, which is neither an HTTP method nor an action.")
    return {key: checked_scopes(scopes, where=f"{where}[{key!r}]") for key, scopes in mapping.items()}


def view_attribute(view: APIView, attribute: str, *, permission: object) -> Any:
    """Return an attribute that a permission requires of its view.

    Raises:
        ImproperlyConfigured: the view does not have it. The permission must not allow the request then.
    """
    value = getattr(view, attribute, None)
    if value is None:
        name = type(permission).__name__
        raise ImproperlyConfigured(f"{type(view).__name__} uses {name}, so it needs the attribute {attribute}.")
    return value


@singledispatch
def scope_alternatives(permission: object, request: Request, view: APIView) -> Iterable[Sequence[str]] | None:
    """Return the sets of scopes, each sufficient for a permission, or ``None`` if it does not decide by scopes alone.

    Register a function for your own permission class, so that the OpenAPI schema and the 401 for a request without
    credentials name its scopes.
    """
    del permission, request, view
    return None


def sufficient_scopes(
    permission: object, request: Request, view: APIView, *, by_scopes_alone: bool = False
) -> ScopeSets:
    """Return the sets of scopes, each sufficient for a permission, as far as scopes decide.

    Follows ``&`` and ``|``. ``~`` and permissions that do not decide by scopes alone count as requiring no scope: the
    result is one empty set. It is an empty list if no scopes are sufficient.

    Args:
        by_scopes_alone: leave out the operands of ``|`` that require no scope, since they have denied the request.
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
    """Return the sets of scopes, each sufficient for one set of every group; at most 64."""
    sets: ScopeSets = [()]
    for group in groups:
        unions = (tuple(dict.fromkeys((*one, *other))) for one, other in product(sets, group))
        sets = list(islice(dict.fromkeys(unions), _MAX_SETS))
    return sets


def sufficient_scopes_for_view(view: APIView, request: Request) -> ScopeSets:
    """Return the sets of scopes, each sufficient for all permissions of a view, as far as scopes decide."""
    return joined(sufficient_scopes(permission, request, view) for permission in view.get_permissions())


def scopes_to_ask_for(request: Request, view: APIView) -> tuple[str, ...]:
    """Return the smallest set of scopes that is sufficient for a view, for a request without credentials.

    It is empty if the view does not handle the request, or does not declare its scopes; a client without credentials
    is not told about either.
    """
    try:
        return min(sufficient_scopes_for_view(view, request), key=len, default=())
    except (APIException, ImproperlyConfigured):
        return ()
    except Exception:
        # The site's own permission may expect a user or a token, which must not turn a 401 into a 500.
        logger.exception("Cannot name the scopes of %s to a client without a token", type(view).__name__)
        return ()
