"""Users of the admin site, and tokens that its pages show."""

from __future__ import annotations

import pytest

from tests.authorization_server.revocation.grants import granted


@pytest.fixture
def admin(admin_client):
    """The browser of a superuser."""
    return admin_client


@pytest.fixture
def staff(client, django_user_model):
    """A user without permissions, who is logged in."""
    user = django_user_model.objects.create_user("staff", is_staff=True)
    client.force_login(user)
    return user


@pytest.fixture
def tokens(web, user, signing_keys):
    return granted(web, web.code_flow(user))
