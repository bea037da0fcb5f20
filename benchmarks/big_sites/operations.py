"""What is done on a site: requests, pages of the admin site and commands, each ready to be repeated."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client, RequestFactory
from django.urls import reverse
from oauth2_provider.models import get_application_model

from django_at_jwt.conf import clear_process_caches
from django_at_jwt.models import IssuedToken, SigningKey

from .fill import PASSWORD, SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.contrib.admin import ModelAdmin

_REQUESTS: Final = 10
_PAGES: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """Something that a site does, and how often it is repeated in a turn."""

    name: str
    call: Callable[[], object]
    calls: int


def operations() -> Iterator[Operation]:
    """Yield the operations on a filled database."""
    yield from _requests()
    yield from _pages()
    yield from _commands()


def _requests() -> Iterator[Operation]:
    client, user = get_application_model().objects.get(client_id="client-7"), "user-7"
    api, program = Client(), {"client_id": "program", "client_secret": SECRET}
    of_program = {"grant_type": "client_credentials", **program}
    of_user = {"client_id": client.client_id, "client_secret": SECRET}
    login = {"grant_type": "password", "username": user, "password": PASSWORD, **of_user}
    tokens = _answer(api.post("/o/token/", login))

    def refresh() -> None:
        answer = api.post(
            "/o/token/", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **of_user}
        )
        tokens.update(_answer(answer))

    def new_process() -> None:
        clear_process_caches()
        _answer(api.post("/o/token/", of_program))

    def show(token: str) -> None:
        _answer(api.get("/whoami/", headers={"Authorization": f"Bearer {token}"}))

    def get(path: str) -> Callable[[], object]:
        return lambda: _answer(api.get(path))

    yield Operation(
        name="token: client_credentials", call=lambda: _answer(api.post("/o/token/", of_program)), calls=_REQUESTS
    )
    yield Operation(name="token: password", call=lambda: _answer(api.post("/o/token/", login)), calls=_REQUESTS)
    yield Operation(name="token: refresh_token", call=refresh, calls=_REQUESTS)
    yield Operation(name="token: client_credentials in a new process", call=new_process, calls=_PAGES)
    shown = _answer(api.post("/o/token/", of_program))["access_token"]
    yield Operation(name="API: repeated token", call=lambda: show(shown), calls=_REQUESTS)
    yield Operation(name="JWK set", call=get(reverse("oauth2_provider:jwks-info")), calls=_REQUESTS)
    yield Operation(name="metadata", call=get("/.well-known/oauth-authorization-server/o"), calls=_REQUESTS)


def _pages() -> Iterator[Operation]:
    browser = Client()
    browser.force_login(get_user_model().objects.get(username="admin"))

    def page(name: str, path: str) -> Operation:
        def get() -> None:
            response = browser.get(path)
            assert response.status_code == 200, (path, response.status_code)

        return Operation(name=f"admin: {name}", call=get, calls=_PAGES)

    for model, model_admin in admin.site._registry.items():
        if model._meta.app_label == "django_at_jwt" or model is get_application_model():
            yield from _pages_of(model_admin, page)
    signing = _key_of_the_tokens()
    yield page("signing key, revoke", reverse("admin:django_at_jwt_signingkey_revoke", args=[signing.pk]))
    yield page("signing keys, rotate", reverse("admin:django_at_jwt_signingkey_rotate"))
    client = get_application_model().objects.get(client_id="client-7")
    user = get_user_model().objects.get(username="user-7")
    yield page("tokens of a client, revoke", reverse("admin:django_at_jwt_revoke_client", args=[client.pk]))
    yield page("tokens of a user, revoke", reverse("admin:django_at_jwt_revoke_user", args=[user.pk]))
    yield page("preview", f"{reverse('admin:django_at_jwt_preview')}?client={client.pk}&user={user.pk}")


def _pages_of(model_admin: ModelAdmin[Any], page: Callable[[str, str], Operation]) -> Iterator[Operation]:
    meta, paths = model_admin.opts, {pattern.name for pattern in model_admin.get_urls()}
    row = meta.model._default_manager.order_by("pk").last()
    for kind, name, arguments in (
        ("changelist", f"{meta.verbose_name_plural}, list", []),
        ("add", f"{meta.verbose_name}, add", []),
        ("change", f"{meta.verbose_name}, change", [] if row is None else [row.pk]),
    ):
        path = f"{meta.app_label}_{meta.model_name}_{kind}"
        is_refused = kind == "add" and not model_admin.has_add_permission(_request())
        if path in paths and not is_refused and (kind != "change" or row is not None):
            yield page(name, reverse(f"admin:{path}", args=arguments))


def _key_of_the_tokens() -> SigningKey:
    return SigningKey.objects.get(kid=IssuedToken.objects.values_list("kid", flat=True).earliest("pk"))


def _request() -> Any:
    """Return a request of the administrator."""
    request: Any = RequestFactory().get("/admin/")
    request.user = get_user_model().objects.get(username="admin")
    return request


def _commands() -> Iterator[Operation]:
    signing = _key_of_the_tokens()

    def command(name: str, *arguments: str) -> Operation:
        def run() -> None:
            call_command(name, *arguments, stdout=io.StringIO(), stderr=io.StringIO())

        options = [each for each in arguments if each.startswith("--")]
        return Operation(name=f"command: {' '.join((name, *options))}", call=run, calls=1)

    yield command("rotate_signing_keys")
    yield command("rotate_signing_keys", "--now", "--dry-run")
    yield command("revoke_signing_key", signing.kid, "--reason=x", "--dry-run")
    yield command("revoke_tokens", "--dry-run", "--client=client-7")
    yield command("purge_authorizations")
    yield command("purge_signing_keys", "--dry-run")
    yield command("check", "--database=default")


def _answer(response: Any) -> Any:
    assert response.status_code == 200, (response.status_code, response.content[:300])
    return response.json()
