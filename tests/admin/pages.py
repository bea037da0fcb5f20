"""An administrator's browser: submits forms as displayed, and confirms review pages."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

from django.apps import apps


class _Fields(HTMLParser):
    """The fields of the POST forms of a page, with the values a browser without JavaScript would submit."""

    def __init__(self, page):
        super().__init__()
        self.values = {}
        self._is_inside = False
        self._select = self._textarea = None
        self.feed(page)

    def handle_starttag(self, tag, attrs):  # noqa: C901 - one for each kind of field
        attributes = dict(attrs)
        if tag == "form":
            self._is_inside = (attributes.get("method") or "").lower() == "post" and "logout" not in (
                attributes.get("action") or ""
            )
        name = attributes.get("name")
        if not self._is_inside:
            return
        if tag == "input" and name and attributes.get("type") not in {"submit", "file"}:
            if attributes.get("type") not in {"checkbox", "radio"} or "checked" in attributes:
                without = "on" if "checked" in attributes else ""
                self.values.setdefault(name, []).append(attributes.get("value") or without)
        elif tag == "textarea":
            self._textarea = name
            self.values[name] = [""]
        elif tag == "select":
            self._select = (name, "multiple" in attributes)
            if not self._select[1]:
                self.values[name] = None
        elif tag == "option" and self._select:
            name, is_multiple = self._select
            if "selected" in attributes:
                self.values[name] = [*((self.values.get(name) or []) if is_multiple else []), attributes["value"]]
            elif not is_multiple and self.values[name] is None:
                self.values[name] = [attributes["value"]]

    def handle_data(self, data):
        if self._textarea:
            self.values[self._textarea] = [self.values[self._textarea][0] + data]

    def handle_endtag(self, tag):
        if tag == "form":
            self._is_inside = False
        elif tag == "textarea":
            # A browser drops the first line break, and submits the others as CRLF.
            [text] = self.values[self._textarea]
            self.values[self._textarea] = [text.removeprefix("\n").replace("\n", "\r\n")]
            self._textarea = None
        elif tag == "select":
            self._select = None


def fields_of(page):
    """Return what a browser would submit for the unchanged form of a page."""
    return {name: values for name, values in _Fields(page.content.decode()).values.items() if values}


def fill_in(client, address, **values):
    """Open a form, fill in some values, and return what is submitted; a value of ``None`` is left out."""
    page = client.get(address)
    assert page.status_code == 200, page.content
    sent = {**fields_of(page), **values}
    return {name: value for name, value in sent.items() if value is not None}


def send(client, address, **values):
    """Fill in and submit a form; return the response, which is the review page if the form is valid."""
    return client.post(address, fill_in(client, address, **{"_save": "Save", **values}))


def is_shown(page):
    """Return whether a page is a review page."""
    return page.status_code == 200 and 'name="_shown"' in page.content.decode()


def confirm(client, page, **values):
    """Press the button of a review page."""
    assert is_shown(page), unescape(page.content.decode())
    return client.post(page.request["PATH_INFO"], {**fields_of(page), **values})


def text_of(page):
    """Return the text of a page on one line."""
    return " ".join(unescape(re.sub("<[^>]+>", " ", page.content.decode())).split())


def press_revoke(client, page):
    """Press the button of a page that asks before it revokes."""
    return client.post(page.request["PATH_INFO"], {**fields_of(page), "_revoke": "Revoke"}, follow=True)


def may(user, *names):
    """Add permissions to a user by their code names."""
    # Not imported: programs without Django's settings read pages, too.
    permissions = apps.get_model("auth.Permission").objects.filter(codename__in=names)
    user.user_permissions.add(*permissions)
