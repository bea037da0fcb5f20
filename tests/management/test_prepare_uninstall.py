"""``manage.py prepare_uninstall``: live tokens keep working with django-oauth-toolkit alone."""

from __future__ import annotations

from datetime import timedelta

import oauthlib
import pytest
from django.core.management import CommandError
from django.test import Client
from django.utils import timezone
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import (
    get_access_token_model,
    get_device_grant_model,
    get_grant_model,
    get_refresh_token_model,
)

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.management.commands import prepare_uninstall
from django_at_jwt.models import Authorization
from tests import commands
from tests.conftest import DEVICE_CODE_GRANT, captured_statements
from tests.settings import API, REPORTS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]


def run(*arguments) -> list[str]:
    return commands.run("prepare_uninstall", *arguments).splitlines()


def resources():
    models = (get_grant_model(), get_access_token_model(), get_refresh_token_model())
    return [sorted(model.objects.values_list("resource", flat=True)) for model in models]


@pytest.fixture
def tokens(web, user, settings):
    """Tokens for the default resource, and others for another API, of one user."""
    reports = web.code_flow(user, scope="reports:read", resource=REPORTS).json()
    return {**web.code_flow(user).json(), "reports": reports["access_token"]}


@pytest.fixture
def without_the_app(settings):
    """Make the site use django-oauth-toolkit alone when called. The tables stay."""

    def take_out():
        settings.OAUTH2_PROVIDER = {
            "SCOPES": settings.OAUTH2_PROVIDER["SCOPES"],
            "ALWAYS_RELOAD_OAUTHLIB_CORE": True,
        }
        settings.ROOT_URLCONF = "tests.site.toolkit_urls"

    return take_out


def answer(path: str, token: str) -> int:
    return Client().get(path, headers={"Authorization": f"Bearer {token}"}).status_code


def test_only_rows_of_the_default_resource_lose_their_audience(tokens):
    before = resources()
    assert run("--dry-run") == [
        "Would remove the audience from 0 codes, 1 access token and 1 refresh token.",
        (
            f"Kept the audience of 0 codes, 1 access token and 1 refresh token, since these are for other APIs: "
            f"'{REPORTS}'. django-oauth-toolkit accepts them only at addresses that begin with one of their resources. "
            "To remove this audience too, name it with --resource."
        ),
    ]
    assert resources() == before == [[], [[API], [REPORTS]], [[API], [REPORTS]]]
    assert run()[0] == "Removed the audience from 0 codes, 1 access token and 1 refresh token."
    assert resources() == [[], [[], [REPORTS]], [[], [REPORTS]]]
    assert run()[0] == "Removed the audience from 0 codes, 0 access tokens and 0 refresh tokens."


def test_another_api_can_be_named(tokens):
    assert run("--resource", REPORTS) == ["Removed the audience from 0 codes, 2 access tokens and 2 refresh tokens."]
    assert resources() == [[], [[], []], [[], []]]


def test_code_that_is_not_exchanged_yet(web, user):
    web.authorize(user)
    assert run() == ["Removed the audience from 1 code, 0 access tokens and 0 refresh tokens."]


def test_expired_and_revoked_rows_are_left(tokens):
    for model in (get_access_token_model(), get_refresh_token_model()):
        field = "expires" if model is get_access_token_model() else "revoked"
        model.objects.update(**{field: "2020-01-01T00:00:00Z"})
    assert run() == ["Removed the audience from 0 codes, 0 access tokens and 0 refresh tokens."]


def test_number_of_statements_does_not_depend_on_the_number_of_rows(web, user):
    web.code_flow(user)
    registry.latest()
    with captured_statements() as of_one:
        run()
    for _ in range(3):
        web.code_flow(user)
    registry.latest()
    with captured_statements() as of_three:
        run()
    assert len(of_three) == len(of_one)


def test_tokens_with_the_toolkit_alone(web, tokens, without_the_app):
    run()
    without_the_app()
    assert answer("/toolkit-view/", tokens["access_token"]) == 200
    assert answer("/toolkit-view/", tokens["reports"]) == 403
    again = web.token("refresh_token", refresh_token=tokens["refresh_token"]).json()
    assert not again["access_token"].startswith("ey")
    assert answer("/toolkit-view/", again["access_token"]) == 200


@pytest.fixture
def device(make_client):
    return make_client(DEVICE_CODE_GRANT, client_type="public")


def approved_code(device, user):
    code = device.post("/o/device-authorization/", {"scope": "read"}).json()["device_code"]
    get_device_grant_model().objects.filter(device_code=code).update(status="authorized", user=user)
    Authorization.objects.approve_device(code, user=user, authentication=None)
    return code


def use(device, code):
    answer = device.token(DEVICE_CODE_GRANT, device_code=code)
    return answer.json().get("error", answer.status_code)


def test_used_device_codes_end(device, user):
    used, fetched_later, expired = (approved_code(device, user) for _ in range(3))
    pending = device.post("/o/device-authorization/", {"scope": "read"}).json()["device_code"]
    for code in (used, expired):
        assert use(device, code) == 200
    device_codes = get_device_grant_model().objects
    device_codes.filter(device_code=expired).update(expires=timezone.now() - timedelta(seconds=1))

    def states():
        return dict(device_codes.values_list("device_code", "status"))

    before = states()
    because = "since django-oauth-toolkit alone would accept a device code again."
    assert run("--dry-run")[1:] == [f"Would end 1 used device code, {because}"]
    assert states() == before
    assert before == {used: "authorized", fetched_later: "authorized", expired: "authorized"} | {
        pending: "authorization-pending"
    }
    assert run()[1:] == [f"Ended 1 used device code, {because}"]
    assert states() == {**before, used: "expired"}
    assert run()[1:] == []
    assert [use(device, code) for code in (used, fetched_later, pending)] == [
        "expired_token",
        200,
        "authorization_pending",
    ]


def test_device_codes_from_before_this_app_are_left(device, user):
    code = approved_code(device, user)
    Authorization.objects.all().delete()
    assert len(run()) == 1
    assert use(device, code) == 200


def test_device_codes_end_with_three_statements_for_each_batch(device, user, monkeypatch):
    def statements(batch):
        for _ in range(4):
            use(device, approved_code(device, user))
        registry.latest()
        monkeypatch.setattr(prepare_uninstall, "BATCH", batch)
        with captured_statements() as captured:
            assert "Ended 4 used device codes" in run()[1]
        return len(captured)

    # Four codes are two batches instead of one.
    assert statements(2) == statements(4) + 3


def test_used_device_code_with_the_toolkit_alone(device, user, without_the_app):
    if oauthlib.__version__ >= "4":
        pytest.skip("the toolkit's own device flow fails with oauthlib 4")
    used, fetched_later = (approved_code(device, user) for _ in range(2))
    assert use(device, used) == 200
    run()
    without_the_app()
    assert use(device, used) == "expired_token"
    assert use(device, fetched_later) == 200


def test_client_secrets_that_only_this_app_can_verify(keyed_hasher, make_client):
    make_client(client_id="one", client_secret=generate_client_secret())
    assert run()[-1] == (
        "Only this app can verify the secret of 1 client: run check_client_secrets before you remove the hasher."
    )


def test_without_a_default_resource(settings):
    settings.AT_JWT = {}
    with pytest.raises(CommandError, match="There is no default resource, so no row was changed"):
        run()
    assert run("--resource", API)
