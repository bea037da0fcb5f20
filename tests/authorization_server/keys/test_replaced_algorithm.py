"""An algorithm that is being replaced: its keys can be revoked until the new algorithm signs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.models import SigningKey
from tests.commands import run
from tests.conftest import decoded

pytestmark = pytest.mark.django_db


def in_state(state, algorithm):
    return next(
        key
        for key in SigningKey.objects.filter(algorithm=algorithm)
        if key.state_at(timezone.now()) is state and not key.times.never_signs
    )


def signed_with(answer):
    assert answer.status_code == 200, answer.content
    return decoded(answer.json()["access_token"])[0]["kid"]


@pytest.fixture
def use(settings):
    def set_algorithms(*algorithms, **others):
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": list(algorithms), **others}
        key_store.forget()

    return set_algorithms


@pytest.fixture
def replaced(use):
    """ES256 signs; EdDSA, which replaces it, is announced."""
    use("ES256")
    run("rotate_signing_keys")
    use("EdDSA")
    run("rotate_signing_keys")


def test_all_of_its_keys_can_be_revoked_in_the_runbooks_order(replaced, service):
    for _ in range(2):
        for state in (KeyState.ANNOUNCED, KeyState.SIGNING):
            key = in_state(state, "ES256")
            run("revoke_signing_key", key.kid, "--reason", "the backup was stolen")
            assert signed_with(service.token("client_credentials")) == in_state(KeyState.SIGNING, "ES256").kid
    assert in_state(KeyState.ANNOUNCED, "ES256")
    assert in_state(KeyState.ANNOUNCED, "EdDSA")


def test_the_signing_key_signs_until_the_new_algorithm_does(use, service):
    use("ES256")
    run("rotate_signing_keys")
    run("rotate_signing_keys", "--now")
    signing, announced, after_it = SigningKey.objects.order_by("signing_at")
    # A day later, so that the new algorithm is announced for a day longer than the old key would sign.
    for key in (signing, announced, after_it):
        SigningKey.objects.filter(pk=key.pk).update(
            announced_at=key.announced_at - timedelta(days=1),
            signing_at=key.signing_at - timedelta(days=1),
            retained_at=key.retained_at and key.retained_at - timedelta(days=1),
            retired_at=key.retired_at and key.retired_at - timedelta(days=1),
        )
    use("EdDSA")
    for key in (announced, after_it):
        run("revoke_signing_key", key.kid, "--reason", "x")
    signing.refresh_from_db()
    assert signing.retained_at >= min(key.signing_at for key in SigningKey.objects.filter(algorithm="EdDSA"))
    assert signed_with(service.token("client_credentials")) == signing.kid


def test_its_last_key_can_be_revoked_as_soon_as_another_algorithm_signs(use, service):
    use("ES256", "EdDSA")
    run("rotate_signing_keys")
    use("EdDSA")
    run("rotate_signing_keys")
    # It still signs, since not all processes have read the change.
    key = in_state(KeyState.SIGNING, "ES256")
    run("revoke_signing_key", key.kid, "--reason", "x")
    assert signed_with(service.token("client_credentials")) == in_state(KeyState.SIGNING, "EdDSA").kid


def test_it_signs_for_an_api_registered_with_the_new_algorithm(use, service):
    use("ES256")
    run("rotate_signing_keys")
    use("EdDSA", RESOURCE_SERVERS={"https://new.example.com/": {"algorithm": "EdDSA"}})
    run("rotate_signing_keys")
    answer = service.token("client_credentials", resource="https://new.example.com/")
    assert signed_with(answer) == in_state(KeyState.SIGNING, "ES256").kid
