"""An administrator who fills in the forms of the example's admin over HTTP."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import requests

from tests.patience import PATIENCE_SECONDS


class Form(HTMLParser):
    """The fields of one form, with the values that a browser would send unchanged."""

    def __init__(self, page, form_id):
        super().__init__()
        self.fields, self.errors = {}, []
        self._form_id = form_id
        self._is_inside = self._is_in_errors = False
        self._select = self._textarea = None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "form":
            self._is_inside = attributes.get("id") == self._form_id
        if tag == "ul" and "errorlist" in (attributes.get("class") or ""):
            self._is_in_errors = True
        if not self._is_inside:
            return
        name = attributes.get("name")
        if tag == "input" and name and attributes.get("type") not in {"submit", "file"}:
            if attributes.get("type") not in {"checkbox", "radio"} or "checked" in attributes:
                value = attributes.get("value") or ("on" if "checked" in attributes else "")
                # A page that asks for a confirmation repeats the values of a list.
                self.fields[name] = [*self.fields[name], value] if name in self.fields else [value]
        elif tag == "textarea":
            self._textarea, self.fields[name] = name, ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and "selected" in attributes:
            self.fields[self._select] = attributes.get("value", "")

    def handle_data(self, data):
        if self._textarea:
            self.fields[self._textarea] += data
        if self._is_in_errors and data.strip():
            self.errors.append(data.strip())

    def handle_endtag(self, tag):
        if tag == "form":
            self._is_inside = False
        elif tag == "textarea":
            self._textarea = None
        elif tag == "ul":
            self._is_in_errors = False


class Refused(Exception):
    """The form came back, with what is wrong with it."""


class Admin:
    """A browser of somebody who is logged in to the admin."""

    def __init__(self, base_url, *, username, password):
        self.base_url = base_url
        self._session = requests.Session()
        self._send("/admin/login/", "login-form", username=username, password=password)

    def add(self, model, **fields):
        """Add a row through its form; ``model`` is like ``oauth2_provider/application``."""
        self._send(f"/admin/{model}/add/", f"{model.rpartition('/')[2]}_form", **fields)

    def change(self, model, text, **fields):
        """Change the row that the list shows with this text."""
        page = self._session.get(f"{self.base_url}/admin/{model}/", timeout=PATIENCE_SECONDS)
        [path] = set(re.findall(rf'href="(/admin/{model}/\d+/change/[^"]*)">{re.escape(text)}<', page.text))
        self._send(path, f"{model.rpartition('/')[2]}_form", **fields)

    def _send(self, path, form_id, **filled_in):
        address = f"{self.base_url}{path}"
        page = self._session.get(address, timeout=PATIENCE_SECONDS)
        assert page.status_code == 200, page.text
        form = Form(page.text, form_id)
        # A box that is not ticked is not sent at all.
        values = {name: value for name, value in {**form.fields, **filled_in}.items() if value is not False}
        unknown = {name for name in filled_in if f'name="{name}"' not in page.text}
        assert not unknown, f"the form has no {unknown}"
        answer = self._post(address, values)
        if 'name="_shown"' in answer.text:
            # The review page comes first; it has one form in addition to the one that logs out.
            answer = self._post(address, Form(answer.text, None).fields)
        if answer.status_code != 302:
            raise Refused(Form(answer.text, form_id).errors)

    def _post(self, address, values):
        return self._session.post(
            address, data=values, headers={"Referer": address}, allow_redirects=False, timeout=PATIENCE_SECONDS
        )
