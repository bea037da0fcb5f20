"""What a view or a permission says of scopes, read strictly: a slip must never be taken for "no scope is needed"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ImproperlyConfigured
from rest_framework.exceptions import MethodNotAllowed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rest_framework.request import Request
    from rest_framework.views import APIView

# RFC 6749 §3.3. A scope cannot hold a space, so "read write" in one string is two of them, or a slip.
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_METHOD: Final = re.compile(r"[A-Z]+")


def checked_scopes(scopes: object, *, where: str) -> tuple[str, ...]:
    """Give a list of scopes as a tuple.

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
    """Give the scopes for this request, of a list, or of a dict by HTTP method or by the action of a view set.

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
    """Give a dict of scopes by method or action, each entry checked.

    Raises:
        ImproperlyConfigured: as :func:`checked_scopes`, or a key can be neither.
    """
    for key in said:
        if not isinstance(key, str) or not (_METHOD.fullmatch(key) or (key.isidentifier() and not key.isupper())):
            raise ImproperlyConfigured(f"{where} has the key {key!r}, which is no HTTP method and no action.")
    return {key: checked_scopes(scopes, where=f"{where}[{key!r}]") for key, scopes in said.items()}


def said_by_view(view: APIView, attribute: str, *, permission: object) -> Any:
    """Give an attribute that a view must have.

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
    """Give the sets of scopes of which a permission asks for one, or ``None`` where it does not decide by scopes alone.

    Register a function for a permission class of your own, so that challenges and the OpenAPI schema tell what it
    needs.
    """
    del permission, request, view
    return None
