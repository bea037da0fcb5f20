"""Sentences of review pages about requests that change with the resource servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from django_at_jwt.core.audience_change import Effect

from .lifetime import lifetime_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.utils.safestring import SafeString

    from django_at_jwt.authorization_server.claims.change_impact import ChangeImpact, RequestImpact
    from django_at_jwt.core.audience_change import Cause, RequestChange

_MOST_NAMED: Final = 5
_ABOUT_TOKENS: Final = {
    Effect.OTHER_FORMAT: _("Tokens for {after} become {new} instead of {former}."),
    Effect.OTHER_ALGORITHM: _("Tokens for {after} are signed with {new} instead of {former}."),
    Effect.OTHER_LIFETIME: _("Tokens for {after} are valid for {new} instead of {former}."),
    Effect.ADDED_SCOPES: _("Tokens for {after} additionally have {new}."),
    Effect.ISSUED: _("Requests that were refused get tokens for {after}."),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangeLine:
    """A sentence about requests that change for the same cause.

    Attributes:
        text: the sentence, as HTML.
        reason: why they are refused, or an empty string.
        clients: the names of some of their clients.
        further: the number of other clients.
        seen: the number of clients whose stored tokens show such a request.
    """

    text: SafeString
    reason: str
    clients: tuple[str, ...]
    further: int
    seen: int


def change_lines(impact: ChangeImpact, *, breaking: bool) -> list[ChangeLine]:
    """Return the lines about the requests that break, or about the others that change."""
    if impact.requests is None:
        return []
    return [
        _line(change, impact.requests, all_clients=impact.clients)
        for change in impact.requests.changes
        if change.cause.effect.is_breaking is breaking
    ]


def _line(change: RequestChange, impact: RequestImpact, *, all_clients: int) -> ChangeLine:
    clients, tokens = _Count(len(change.clients)), _Count(change.refresh_tokens)
    if len(impact.clients) < all_clients:
        clients = _Count(clients.number, sampled=len(impact.clients))
    if not impact.has_all_refresh_tokens:
        tokens = _Count(tokens.number, sampled=impact.refresh_tokens)
    cause = change.cause
    names = sorted(impact.clients.get(each) or each for each in change.clients)
    text = format_html(
        _sentence(cause, clients=clients.plural, tokens=tokens.plural),
        clients=clients,
        tokens=tokens,
        requests=_requests(change.scopes),
        code=format_html("<code>{}</code>", cause.code),
        named=_apis(cause.named, impact),
        before=_apis(cause.before, impact),
        after=_apis(cause.after, impact),
        former=_values(cause, cause.former),
        new=_values(cause, cause.new),
    )
    return ChangeLine(
        text=text,
        reason=cause.description,
        clients=tuple(names[:_MOST_NAMED]),
        further=len(names[_MOST_NAMED:]),
        seen=len(change.seen_clients),
    )


@dataclass(frozen=True, slots=True)
class _Count:
    number: int
    sampled: int | None = None

    def __str__(self) -> str:
        if self.sampled is None:
            return str(self.number)
        return gettext("%(number)d of %(sampled)d sampled") % {"number": self.number, "sampled": self.sampled}

    @property
    def plural(self) -> int:
        """The number that the noun after the text agrees with."""
        return self.number if self.sampled is None else self.sampled


def _sentence(cause: Cause, *, clients: int, tokens: int) -> str:
    if cause.effect in _ABOUT_TOKENS:
        return str(_ABOUT_TOKENS[cause.effect])
    if cause.is_refresh:
        return _about_refreshes(cause.effect, tokens)
    if cause.named:
        return _about_named_resources(cause.effect, clients)
    return _about_no_resource(cause.effect, clients)


def _about_refreshes(effect: Effect, number: int) -> str:
    match effect:
        case Effect.REFUSED:
            return ngettext(
                "{tokens} live refresh token for {before} will fail with {code}.",
                "{tokens} live refresh tokens for {before} will fail with {code}.",
                number,
            )
        case Effect.LOST_SCOPES:
            return ngettext(
                "{tokens} live refresh token for {after} yields tokens without {former}.",
                "{tokens} live refresh tokens for {after} yield tokens without {former}.",
                number,
            )
    return ngettext(
        "{tokens} live refresh token yields tokens for {after} instead of {before}.",
        "{tokens} live refresh tokens yield tokens for {after} instead of {before}.",
        number,
    )


def _about_named_resources(effect: Effect, number: int) -> str:
    if effect is Effect.REFUSED:
        return ngettext(
            "{clients} client: requests that name {named} will fail with {code}.",
            "{clients} clients: requests that name {named} will fail with {code}.",
            number,
        )
    if effect is Effect.OTHER_AUDIENCE:
        return ngettext(
            "{clients} client: requests that name {named} get tokens for {after} instead of {before}.",
            "{clients} clients: requests that name {named} get tokens for {after} instead of {before}.",
            number,
        )
    return ngettext(
        "{clients} client: requests that name {after} get tokens without {former}.",
        "{clients} clients: requests that name {after} get tokens without {former}.",
        number,
    )


def _about_no_resource(effect: Effect, number: int) -> str:
    match effect:
        case Effect.REFUSED:
            return ngettext(
                "{clients} client that names no resource: {requests} will fail with {code}.",
                "{clients} clients that name no resource: {requests} will fail with {code}.",
                number,
            )
        case Effect.LOST_SCOPES:
            return ngettext(
                "{clients} client that names no resource gets tokens for {after} without {former} ({requests}).",
                "{clients} clients that name no resource get tokens for {after} without {former} ({requests}).",
                number,
            )
    return ngettext(
        "{clients} client that names no resource gets tokens for {after} instead of {before} ({requests}).",
        "{clients} clients that name no resource get tokens for {after} instead of {before} ({requests}).",
        number,
    )


def _requests(asked: Iterable[tuple[str, ...]]) -> SafeString:
    named = [" ".join(scopes) for scopes in asked]
    scopes = _code(each for each in named if each)
    if "" not in named:
        text = gettext("requests for {scopes}")
    elif scopes:
        text = gettext("requests for {scopes} or for no scope")
    else:
        text = gettext("requests without a scope")
    return format_html(text, scopes=scopes)


def _apis(identifiers: Iterable[str], impact: RequestImpact) -> str:
    return gettext(" and ").join(impact.names.get(each, each) for each in identifiers)


def _values(cause: Cause, values: tuple[str, ...]) -> Any:
    if cause.effect in {Effect.LOST_SCOPES, Effect.ADDED_SCOPES}:
        return _code(values)
    if cause.effect is Effect.OTHER_LIFETIME:
        return "".join(lifetime_in_words(int(value)) for value in values)
    return "".join(values) or gettext("the site's default")


def _code(values: Iterable[str]) -> SafeString:
    return format_html_join(", ", "<code>{}</code>", ((value,) for value in values))
