"""Authentication events recorded in the session by real logins."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import SESSION_KEY, alogin, authenticate, get_user, get_user_model, login, logout
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils import timezone

from django_at_jwt.authorization_server.login.events import authentication_by_password, authentication_of
from django_at_jwt.core.login import AuthenticationEvent

pytestmark = pytest.mark.django_db

ENTRY = "django_at_jwt.authentication"
MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"
LOGINS = "tests.site.logins"


def request_in(session):
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": "127.0.0.1"}
    request.session = session
    request.user = get_user(request)
    return request


def event_in(client):
    """Read the event as a later request of this browser does."""
    return authentication_of(request_in(SessionStore(client.session.session_key)))


@pytest.fixture
def staff(db):
    return get_user_model().objects.create_user("staff", password="correct horse", is_staff=True)


@pytest.fixture
def request_(db):
    return request_in(SessionStore())


def log_in(client, username="staff", password="correct horse"):
    answer = client.post("/admin/login/", {"username": username, "password": password})
    assert answer.status_code == 302


def time_passes(client, seconds):
    session = client.session
    session[ENTRY]["event"]["authenticated_at"] -= seconds
    session.save()


class TestDjangosLogin:
    def test_over_http(self, client, staff):
        before = int(time.time())
        log_in(client)
        event = event_in(client)
        assert before <= event.authenticated_at <= time.time()
        assert (event.methods, event.context) == (("pwd",), None)

    def test_event_is_stored_only_in_the_session(self, client, staff):
        log_in(client)
        get_user_model().objects.update(last_login=timezone.now() + timedelta(days=1))
        first = event_in(client)
        assert first.authenticated_at <= time.time()
        json.dumps(client.session[ENTRY])

    def test_wrong_password(self, client, staff):
        client.post("/admin/login/", {"username": "staff", "password": "wrong"})
        assert ENTRY not in client.session
        assert event_in(client) is None

    def test_log_in_again(self, client, staff):
        log_in(client)
        time_passes(client, 100)
        first = event_in(client)
        log_in(client)
        assert event_in(client).authenticated_at >= first.authenticated_at + 100

    def test_two_browsers(self, client, staff):
        log_in(client)
        time_passes(client, 100)
        first = event_in(client)
        log_in(type(client)())
        assert event_in(client) == first

    def test_logout(self, client, staff):
        log_in(client)
        client.post("/admin/logout/")
        assert ENTRY not in client.session
        assert event_in(client) is None

    def test_changing_the_password_keeps_the_event(self, client, staff):
        staff.is_superuser = True
        staff.save()
        log_in(client)
        first, key = event_in(client), client.session.session_key
        form = {"old_password": "correct horse", "new_password1": "battery staple", "new_password2": "battery staple"}
        assert client.post("/admin/password_change/", form).status_code == 302
        assert client.session.session_key != key
        assert event_in(client) == first is not None


class TestWhoseLogin:
    def test_another_user_replaces_it(self, request_, user, staff):
        login(request_, authenticate(request_, username="staff", password="correct horse"))
        login(request_, user, backend=MODEL_BACKEND)
        assert authentication_of(request_).methods == ()

    def test_entry_of_another_user(self, request_, user, staff):
        login(request_, user, backend=MODEL_BACKEND)
        entry = request_.session[ENTRY]
        request_.session[ENTRY] = {**entry, "user": str(staff.pk)}
        assert authentication_of(request_) is None
        request_.session[ENTRY] = entry
        assert authentication_of(request_) is not None

    def test_user_not_taken_from_the_session(self, request_, user, staff):
        login(request_, user, backend=MODEL_BACKEND)
        request_.user = staff
        assert authentication_of(request_) is None

    def test_no_user(self, request_):
        assert authentication_of(request_) is None
        assert authentication_of(HttpRequest()) is None
        assert authentication_of(SimpleNamespace(user=AnonymousUser(), session={})) is None

    def test_logged_out_in_the_same_request(self, request_, user):
        login(request_, user, backend=MODEL_BACKEND)
        logout(request_)
        assert authentication_of(request_) is None

    def test_session_from_before_this_app_was_installed(self, request_, user):
        login(request_, user, backend=MODEL_BACKEND)
        get_user_model().objects.update(last_login=timezone.now())
        del request_.session[ENTRY]
        assert request_.user.is_authenticated
        assert authentication_of(request_) is None

    @pytest.mark.parametrize("odd", [None, [], "x", {}, {"event": {}}, {"user": None, "event": None}])
    def test_malformed_entry(self, odd, request_, user):
        login(request_, user, backend=MODEL_BACKEND)
        request_.session[ENTRY] = odd
        assert authentication_of(request_) is None

    def test_entry_from_the_future(self, request_, user, settings):
        login(request_, user, backend=MODEL_BACKEND)
        now, entry = int(time.time()), request_.session[ENTRY]
        # Another server's clock may be ahead, by at most the leeway.
        for ahead, known in (20, True), (90, False):
            request_.session[ENTRY] = {**entry, "event": {**entry["event"], "authenticated_at": now + ahead}}
            assert (authentication_of(request_) is not None) is known

    def test_login_without_a_session(self, request_, user):
        # Apps with their own tokens send the signal too, with a Django REST framework request or none.
        for request in (request_, None, HttpRequest()):
            user_logged_in.send(sender=type(user), request=request, user=user)
        assert request_.session.is_empty()

    def test_login_without_a_session_by_another_user(self, request_, user, staff):
        login(request_, user, backend=MODEL_BACKEND)
        before = dict(request_.session.items())
        user_logged_in.send(sender=type(user), request=request_, user=staff)
        assert dict(request_.session.items()) == before

    @pytest.mark.django_db(transaction=True)
    def test_asynchronous_login(self, request_, user):
        async def log_in_and_ask():
            await alogin(request_, user, backend=MODEL_BACKEND)

        # Unlike asyncio.run(), it leaves no thread with a database connection behind.
        async_to_sync(log_in_and_ask)()
        assert request_.session[SESSION_KEY] == str(user.pk)
        assert authentication_of(request_) is not None


class TestMethodsOfABackend:
    def logged_in(self, request, backends, settings, **credentials):
        settings.AUTHENTICATION_BACKENDS = backends
        login(request, authenticate(request, **credentials))
        return authentication_of(request)

    def test_all_users_backend(self, request_, user, settings):
        backends = ["django.contrib.auth.backends.AllowAllUsersModelBackend"]
        assert self.logged_in(request_, backends, settings, username="alice", password="correct horse").methods == (
            "pwd",
        )

    def test_unknown_backend_has_no_methods(self, request_, user, settings):
        assert self.logged_in(request_, [f"{LOGINS}.BadgeBackend"], settings, badge="alice").methods == ()

    def test_subclass_of_a_known_backend_has_no_methods(self, request_, user, settings):
        backends = [f"{LOGINS}.Subclass"]
        assert self.logged_in(request_, backends, settings, username="alice", password="correct horse").methods == ()

    def test_backend_of_the_site(self, request_, user, settings):
        settings.AT_JWT = {**settings.AT_JWT, "AUTHENTICATION_METHODS": {f"{LOGINS}.BadgeBackend": ["sc", "pin"]}}
        event = self.logged_in(request_, [MODEL_BACKEND, f"{LOGINS}.BadgeBackend"], settings, badge="alice")
        assert event.methods == ("sc", "pin", "mfa")
        event = self.logged_in(request_, [MODEL_BACKEND], settings, username="alice", password="correct horse")
        assert event.methods == ("pwd",)

    def test_methods_of_djangos_backend_can_be_overridden(self, request_, user, settings):
        settings.AT_JWT = {**settings.AT_JWT, "AUTHENTICATION_METHODS": {MODEL_BACKEND: []}}
        event = self.logged_in(request_, [MODEL_BACKEND], settings, username="alice", password="correct horse")
        assert event.methods == ()

    def test_login_without_authenticate_has_no_methods(self, request_, user):
        # As with a link in an e-mail or after a password reset, no password was checked.
        login(request_, user, backend=MODEL_BACKEND)
        assert authentication_of(request_).methods == ()


class TestContext:
    table = {"urn:example:password": ["pwd"], "urn:example:two": ["mfa"]}

    def event(self, request, settings, **at_jwt):
        settings.AT_JWT = {**settings.AT_JWT, **at_jwt}
        login(request, authenticate(request, username="alice", password="correct horse"))
        return authentication_of(request)

    def test_table(self, request_, user, settings):
        assert self.event(request_, settings, AUTHENTICATION_CONTEXTS=self.table).context == "urn:example:password"

    def test_table_without_a_fitting_entry(self, request_, user, settings):
        assert self.event(request_, settings, AUTHENTICATION_CONTEXTS={"urn:example:two": ["mfa"]}).context is None

    def test_callable(self, request_, user, settings):
        event = self.event(request_, settings, AUTHENTICATION_CONTEXTS=f"{LOGINS}.context_of")
        assert event.context == "urn:example:alice:1"

    def test_callable_that_returns_no_text(self, request_, user, settings):
        with pytest.raises(ImproperlyConfigured, match="AUTHENTICATION_CONTEXTS"):
            self.event(request_, settings, AUTHENTICATION_CONTEXTS=f"{LOGINS}.no_text")

    def test_context_is_decided_at_login(self, request_, user, settings):
        event = self.event(request_, settings, AUTHENTICATION_CONTEXTS=self.table)
        settings.AT_JWT = {**settings.AT_JWT, "AUTHENTICATION_CONTEXTS": {"urn:example:other": []}}
        assert authentication_of(request_) == event


class TestEventOfTheSite:
    def event(self, request, settings, name, **at_jwt):
        settings.AT_JWT = {**settings.AT_JWT, "AUTHENTICATION_EVENT": f"{LOGINS}.{name}", **at_jwt}
        login(request, authenticate(request, username="alice", password="correct horse"))
        return authentication_of(request)

    def test_event_is_recorded_unchanged(self, request_, user, settings):
        assert self.event(request_, settings, "by_smart_card") == AuthenticationEvent(
            authenticated_at=1_700_000_000, methods=("sc", "pin", "mfa")
        )

    def test_event_gets_a_context_if_it_has_none(self, request_, user, settings):
        table = {"urn:example:two": ["mfa"], "urn:example:any": []}
        event = self.event(request_, settings, "by_smart_card", AUTHENTICATION_CONTEXTS=table)
        assert event.context == "urn:example:two"
        event = self.event(request_, settings, "with_a_context", AUTHENTICATION_CONTEXTS=table)
        assert event.context == "urn:example:from-the-event"

    def test_none_records_no_event(self, request_, user, settings):
        login(request_, user, backend=MODEL_BACKEND)
        assert ENTRY in request_.session
        assert self.event(request_, settings, "nothing_to_say") is None
        assert ENTRY not in request_.session

    def test_not_implemented_leaves_it_to_this_app(self, request_, user, settings):
        assert self.event(request_, settings, "not_mine").methods == ("pwd",)

    @pytest.mark.parametrize("name", ["in_the_future", "no_event"])
    def test_invalid_event(self, name, request_, user, settings):
        with pytest.raises(ImproperlyConfigured, match="AUTHENTICATION_EVENT"):
            self.event(request_, settings, name)


class TestByPassword:
    def test_without_a_session(self, user):
        event = authentication_by_password(user, 1_700_000_000.9)
        assert event == AuthenticationEvent(authenticated_at=1_700_000_000, methods=("pwd",))

    def test_methods_of_the_backend(self, user, settings):
        settings.AT_JWT = {
            **settings.AT_JWT,
            "AUTHENTICATION_METHODS": {"site.Ldap": ["pwd", "otp"], "site.Quiet": []},
            "AUTHENTICATION_CONTEXTS": {"urn:example:two": ["mfa"]},
        }
        user.backend = "site.Ldap"
        event = authentication_by_password(user, 5)
        assert (event.methods, event.context) == (("pwd", "otp", "mfa"), "urn:example:two")
        user.backend = "site.Quiet"
        assert authentication_by_password(user, 5).methods == ()
