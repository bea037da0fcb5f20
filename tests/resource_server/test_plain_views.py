"""The decorator and the mixin over HTTP: they allow and answer the same requests as the DRF class."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.views import View
from rest_framework.permissions import IsAdminUser

from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.core.errors import KeysUnavailable
from django_at_jwt.resource_server.rest_framework.permissions import reads_only_the_token
from django_at_jwt.rest_framework import HasRole, IsUser
from django_at_jwt.views import AccessTokenRequiredMixin, access_token_required

from .signed_tokens import bearer

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls("tests.site.plain_views"),
    pytest.mark.usefixtures("keys_made_quickly", "signing_keys"),
]

PLAIN = ["/function/", "/coroutine/", "/class/", "/async-class/", "/decorated-class/"]
FORM = {"content_type": "application/x-www-form-urlencoded"}

REQUESTS = {
    "nothing": lambda: ("get", {}, {}),
    "another scheme": lambda: ("get", {"Authorization": "Basic YTpi"}, {}),
    "scope is there": lambda: ("get", bearer("read"), {}),
    "scope is missing": lambda: ("get", bearer("other"), {}),
    "scope is missing for the method": lambda: ("post", bearer("read"), FORM),
    "scopes are there for the method": lambda: ("post", bearer("read write"), FORM),
    "head": lambda: ("head", bearer("read"), {}),
    "method that nothing is said of": lambda: ("delete", bearer("read write"), {}),
    "bad token": lambda: ("get", {"Authorization": "Bearer a.b.c"}, {}),
    "token for another": lambda: ("get", bearer("read", aud="https://other.example/"), {}),
    "unknown user": lambda: ("get", bearer("read", sub="404"), {}),
    "two tokens": lambda: ("get", {"Authorization": "Bearer a b"}, {}),
    "token in the query too": lambda: ("get", bearer("read"), {"query_params": {"access_token": "x"}}),
    "token in the form too": lambda: ("post", bearer("read write"), {"data": "access_token=x", **FORM}),
    "token in the query alone": lambda: ("get", {}, {"query_params": {"access_token": "x"}}),
    "a browser that wants a page": lambda: ("get", {"Accept": "text/html"}, {}),
}


def told(answer):
    return (answer.status_code, answer.get("WWW-Authenticate"), answer.content, answer.get("Content-Type"))


@pytest.mark.compliance("6750-1", "6750-2", "6750-3", "9728-1")
class TestAnswersAreThoseOfTheFramework:
    @pytest.mark.parametrize("address", PLAIN)
    @pytest.mark.parametrize("request_of", REQUESTS.values(), ids=REQUESTS)
    def test_in_each_case(self, address, request_of, client):
        method, headers, more = request_of()
        as_json = {"headers": {"Accept": "application/json", **headers}, **more}
        expected = getattr(client, method)("/framework/", **as_json)
        answer = getattr(client, method)(address, **{**as_json, "headers": {**as_json["headers"], **headers}})
        if headers.get("Accept"):
            expected_body = b'{"detail":"Authentication credentials were not provided."}'
            assert told(answer)[2:] == (expected_body, "application/json")
        elif expected.status_code == 200:
            assert answer.json() == expected.json() if method != "head" else answer.content == b""
        else:
            assert told(answer) == told(expected)
        assert answer.status_code == expected.status_code
        assert "Authorization" in answer["Vary"]


@pytest.mark.parametrize("address", PLAIN)
def test_keys_that_cannot_be_read(address, client, monkeypatch):
    def unavailable():
        raise KeysUnavailable("no database")

    credentials = bearer("read")
    monkeypatch.setattr(key_store, "at_hand", lambda: None)
    monkeypatch.setattr(key_store, "current", unavailable)
    answer = client.get(address, headers=credentials)
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    assert answer.json() == {"detail": "Access tokens cannot be verified at the moment."}
    assert told(answer) == told(client.get("/framework/", headers=credentials))


class TestPrincipal:
    @pytest.mark.parametrize("address", ["/framework/", *PLAIN])
    def test_user_of_the_token_and_not_of_the_session(self, address, client, user, django_user_model):
        client.force_login(django_user_model.objects.create_user("mallory"))
        answer = client.get(address, headers=bearer("read", sub=str(user.pk)))
        assert answer.json() == {"user": "alice", "client": "a client", "same": True}

    @pytest.mark.parametrize("address", PLAIN)
    def test_session_is_not_enough(self, address, client, user):
        client.force_login(user)
        answer = client.get(address)
        assert (answer.status_code, answer["WWW-Authenticate"].partition(",")[0]) == (401, 'Bearer scope="read"')

    @pytest.mark.parametrize("address", PLAIN)
    def test_client_that_acts_for_itself_is_a_machine_principal(self, address, client):
        assert client.get(address, headers=bearer("read")).json()["user"] == "client:a client"

    @pytest.mark.parametrize("address", PLAIN)
    def test_no_query_for_a_machine(self, address, client, django_assert_num_queries):
        credentials = bearer("read")
        client.get(address, headers=credentials)
        with django_assert_num_queries(0):
            client.get(address, headers=credentials)


@pytest.mark.parametrize("address", PLAIN)
class TestBrowsersProtection:
    def test_no_csrf_token_is_needed_with_a_token_and_none_helps_without(self, address, user):
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)
        assert client.post(address, headers=bearer("read write")).status_code == 200
        assert client.post(address).status_code == 401

    def test_no_login_page(self, address, client, settings):
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
        assert client.get(address).status_code == 401
        assert client.get(address, headers=bearer("read")).status_code == 200


class TestArguments:
    def test_view_can_name_its_audience(self, client, settings):
        assert client.get("/reports-function/", headers=bearer(aud=settings.REPORTS)).json() == {"ok": True}
        answer = client.get("/reports-function/", headers=bearer())
        assert answer.status_code == 401
        link = 'resource_metadata="https://reports.example.com/.well-known/oauth-protected-resource"'
        assert answer["WWW-Authenticate"].endswith(link)

    def test_view_can_name_a_permission(self, client, django_user_model):
        staff = django_user_model.objects.create_user("staff", is_staff=True)
        assert client.get("/editors/7/", headers=bearer(roles=["editor"])).json() == {"ok": True, "number": 7}
        assert client.get("/editors/7/", headers=bearer(sub=str(staff.pk))).status_code == 200
        answer = client.get("/editors/7/", headers=bearer())
        assert (answer.status_code, answer.get("WWW-Authenticate")) == (403, None)

    def test_permission_and_scopes(self, client):
        assert client.get("/editors-who-write/", headers=bearer("write", roles=["editor"])).status_code == 200
        assert client.get("/editors-who-write/", headers=bearer("write")).status_code == 403
        answer = client.get("/editors-who-write/", headers=bearer(roles=["editor"]))
        assert answer["WWW-Authenticate"].startswith('Bearer error="insufficient_scope", scope="write"')

    @pytest.mark.compliance("9470-1")
    def test_step_up(self, client, user):
        answer = client.get("/stepped-up/", headers=bearer(sub=str(user.pk)))
        assert answer.status_code == 401
        assert 'error="insufficient_user_authentication"' in answer["WWW-Authenticate"]
        assert 'max_age="60"' in answer["WWW-Authenticate"]

    def test_allow_of_a_405(self, client):
        for address in "/function/", "/class/":
            assert client.delete(address, headers=bearer("read write"))["Allow"] == "GET, POST"

    def test_cache_does_not_show_one_clients_answer_to_others(self, client):
        cache.clear()
        assert client.get("/cached/", headers=bearer("read")).status_code == 200
        assert client.get("/cached/").status_code == 401

    def test_exception_handler_of_the_site(self, client, settings):
        settings.REST_FRAMEWORK = {"EXCEPTION_HANDLER": "tests.resource_server.test_plain_views.teapot"}
        answer = client.get("/function/")
        assert (answer.status_code, answer.json()) == (418, {"error": "NotAuthenticated"})


def teapot(error, context):
    from rest_framework.response import Response

    return Response({"error": type(error).__name__}, status=418)


class TestArgumentsOfAsView:
    class Asked(AccessTokenRequiredMixin, View):
        required_scopes = ["read"]

        def get(self, request):
            return HttpResponse(" ".join(self.required_scopes))

    def test_take_precedence_over_the_class(self, rf, settings):
        scopes = self.Asked.as_view(required_scopes=["write"])
        assert scopes(rf.get("/", headers=bearer("read"))).status_code == 403
        assert scopes(rf.get("/", headers=bearer("write"))).content == b"write"
        permission = self.Asked.as_view(permission=HasRole("editor"))
        assert permission(rf.get("/", headers=bearer("read"))).status_code == 403
        assert permission(rf.get("/", headers=bearer("read", roles=["editor"]))).status_code == 200
        audience = self.Asked.as_view(audience=settings.REPORTS)
        assert audience(rf.get("/", headers=bearer("read"))).status_code == 401
        assert audience(rf.get("/", headers=bearer("read", aud=settings.REPORTS))).status_code == 200

    def test_are_sufficient_for_a_class_without_scopes(self, rf):
        class Unsaid(AccessTokenRequiredMixin, View):
            def get(self, request):
                return HttpResponse()

        view = Unsaid.as_view(required_scopes=[])
        assert (view(rf.get("/")).status_code, view(rf.get("/", headers=bearer())).status_code) == (401, 200)
        with pytest.raises(ImproperlyConfigured, match="needs scopes or a permission"):
            self.Asked.as_view(required_scopes=None)


class TestMistakes:
    def test_without_scopes(self):
        with pytest.raises(ImproperlyConfigured, match=r"pass scopes=\[\]"):
            access_token_required()

        class Open(AccessTokenRequiredMixin, View):
            pass

        with pytest.raises(ImproperlyConfigured, match="Open needs scopes or a permission"):
            Open.as_view()

    def test_mixin_after_the_view(self):
        class Listing(View):
            pass

        for first in View, Listing:
            with pytest.raises(ImproperlyConfigured, match="Open lists AccessTokenRequiredMixin after a view"):
                type("Open", (first, AccessTokenRequiredMixin), {"required_scopes": []})

    def test_called_without_brackets(self):
        with pytest.raises(ImproperlyConfigured, match="must be called"):

            @access_token_required
            def view(request):
                return HttpResponse()

    def test_scopes_must_not_be_a_string(self, client, rf):
        view = access_token_required(scopes="read")(HttpResponse)
        with pytest.raises(ImproperlyConfigured, match="list of scopes"):
            view(rf.get("/", headers=bearer("read")))


def test_error_of_a_permission_is_shown_while_debugging(settings, rf):
    settings.DEBUG = True
    view = access_token_required(HasRole)(HttpResponse)
    with pytest.raises(ImproperlyConfigured, match="HasRole"):
        view(rf.get("/", headers=bearer()))


def test_view_keeps_its_name_and_its_methods():
    @access_token_required(IsUser)
    def view(request):
        """Return something."""

    assert (view.__name__, view.__doc__) == ("view", "Return something.")


async def _get(address, **headers):
    return await AsyncClient().get(address, headers=headers)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("address", PLAIN)
def test_under_asgi(address, user):
    answer = async_to_sync(_get)(address, **bearer("read", sub=str(user.pk)))
    assert answer.json() == {"user": "alice", "client": "a client", "same": True}
    refused = async_to_sync(_get)(address)
    assert (refused.status_code, refused.json()) == (401, {"detail": "Authentication credentials were not provided."})


@pytest.mark.parametrize("address", ["/coroutine/", "/async-class/"])
class TestEventLoop:
    """A thread is only used if a query or a request may be needed, or the request is refused."""

    @pytest.fixture
    def threads(self, monkeypatch):
        used = []

        def counted(function):
            used.append(function.__name__)
            return sync_to_async(function)

        monkeypatch.setattr("django_at_jwt.views.sync_to_async", counted)
        return used

    def test_uses_no_thread_for_clients(self, address, threads):
        credentials = bearer("read")
        assert async_to_sync(_get)(address, **credentials).status_code == 200
        threads.clear()
        answer = async_to_sync(_get)(address, **credentials)
        assert answer.json() == {"user": "client:a client", "client": "a client", "same": True}
        assert threads == []

    def test_refuses_and_reads_in_a_thread(self, address, threads, user):
        async_to_sync(_get)(address, **bearer("read"))
        threads.clear()
        refused = async_to_sync(_get)(address, **bearer("other"))
        assert (refused.status_code, "insufficient_scope" in refused["WWW-Authenticate"]) == (403, True)
        assert async_to_sync(_get)(address, **bearer("read", sub=str(user.pk))).json()["user"] == "alice"
        assert threads == ["refusal"] * 2


class AsksTheDatabase(IsUser):
    def is_met(self, token, request, view):
        return get_user_model().objects.exists()


@pytest.mark.parametrize(
    ("permission", "expected"),
    [
        (HasRole("editor"), True),
        (IsUser, True),
        (~IsUser, True),
        (HasRole("editor") & (IsUser | ~IsUser), True),
        (IsAdminUser, False),
        (AsksTheDatabase, False),
        (~AsksTheDatabase(), False),
        (IsUser | AsksTheDatabase, False),
        (IsUser & IsAdminUser, False),
        (IsAdminUser | IsUser, False),
    ],
    ids=[
        "role",
        "user",
        "not user",
        "role and either",
        "admin user",
        "own",
        "not own",
        "user or own",
        "user and admin user",
        "admin user or user",
    ],
)
def test_permissions_of_a_site_may_make_queries(permission, expected):
    assert reads_only_the_token(permission) is expected
