from __future__ import annotations

import base64
import gc
import hashlib
import json
import os
import secrets
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.db import connections, router
from django.db.models.signals import post_init
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from oauth2_provider.models import get_application_model

from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.conf import app_settings, clear_process_caches
from django_at_jwt.core.jose.jws import CompactJws
from django_at_jwt.core.jose.keys import PublicKey
from django_at_jwt.models import DenyListEntry, SigningKey, SigningKeyEvent
from django_at_jwt.signals import event_emitted

pytest_plugins = [
    "django_at_jwt.testing.fixtures",
    "tests.client_documents",
    "tests.client_secret_fixtures",
    "tests.example_fixtures",
    "tests.remote_issuer_fixtures",
]

# No property depends on how fast this machine finds and tries examples, nor on luck: each run tries the same ones.
# Running more of the same would find nothing new: --hypothesis-profile=search tries others, and more.
hypothesis_settings.register_profile(
    "search",
    max_examples=500,
    derandomize=False,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
hypothesis_settings.register_profile(
    "same", hypothesis_settings.get_profile("search"), max_examples=50, derandomize=True
)
hypothesis_settings.load_profile("same")

DEVICE_CODE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# Their tests start processes. They come first, so that no worker is left with the longest at the end.
SLOW_FOLDERS = ("swapped", "browser", "processes", "docs", "mailboxes", "example")
REDIRECT_URI = "https://client.example.com/callback"
SECRET = "the client's secret"


# All servers of the tests are on this machine, where a proxy of the environment does not find them.
_others = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
os.environ["no_proxy"] = f"127.0.0.1,localhost,{_others}".rstrip(",")

# Collecting makes many objects and drops few: searching them for cycles takes a fifth of its time.
gc.disable()


def pytest_collection_finish():
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    # A stable sort: the tests of a module stay together and share its server, and pytest-django's order holds.
    items.sort(key=_speed)


def _speed(item):
    folder = item.nodeid.removeprefix("tests/").partition("/")[0]
    return SLOW_FOLDERS.index(folder) if folder in SLOW_FOLDERS else len(SLOW_FOLDERS)


@pytest.fixture(autouse=True)
def _no_keys_of_other_tests():
    # As in a new process: what was read before is not even kept for the time when the database is down.
    clear_process_caches()
    yield
    clear_process_caches()


@pytest.fixture(autouse=True)
def _no_threads_of_other_tests():
    before = {*threading.enumerate()}
    yield
    # One that goes on would change what a later test counts or patches. Servers, which are daemons, and the pool that
    # asgiref keeps do nothing unasked.
    started = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    left = [thread for thread in started if not thread.name.startswith("ThreadPoolExecutor-")]
    assert not left, f"the test left threads running: {left}"


@pytest.fixture(scope="session")
def _made_keys():
    """The keys of a first rotation by the algorithms in use; making RSA keys takes longer than most tests."""
    return {}


@pytest.fixture
def signing_keys(db, settings, _made_keys):
    algorithms = app_settings().signing_algorithms
    if algorithms not in _made_keys:
        _made_keys[algorithms] = [_values(row) for row in rotate_signing_keys().keys]
        for model in (SigningKey, SigningKeyEvent):
            model.objects.all().delete()
        key_store.forget()
    made_at = min(values["announced_at"] for values in _made_keys[algorithms])
    age = timezone.now() - made_at
    deny_list.renew()
    return tuple(SigningKey.objects.create(**_later(values, age)) for values in _made_keys[algorithms])


def _values(row):
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if not field.primary_key}


def _later(values, age):
    return {name: value + age if isinstance(value, datetime) else value for name, value in values.items()}


@pytest.fixture
def keys_made_quickly(settings):
    """For tests that are about other things: an RSA key takes a second to make."""
    settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["ES256"]}


@pytest.fixture
def at_jwt(settings):
    """Change entries of ``AT_JWT``."""

    def change(**entries):
        settings.AT_JWT = {**settings.AT_JWT, **entries}

    return change


@pytest.fixture
def oauth2_provider(settings):
    """Change entries of ``OAUTH2_PROVIDER``."""

    def change(**entries):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **entries}

    return change


@pytest.fixture
def committing(django_capture_on_commit_callbacks):
    """Run what is due on commit, in the database of the deny list."""
    return partial(django_capture_on_commit_callbacks, using=router.db_for_write(DenyListEntry), execute=True)


@pytest.fixture
def user(db):
    return get_user_model().objects.create_user("alice", "alice@example.com", "correct horse")


@pytest.fixture
def events():
    """All events that are emitted from now on."""
    emitted = []

    def receive(sender, event, **_kwargs):
        assert sender is type(event)
        emitted.append(event)

    event_emitted.connect(receive)
    yield emitted
    event_emitted.disconnect(receive)


@pytest.fixture
def signatures(monkeypatch):
    """The kids of the keys that signatures are compared with from now on."""
    tried = []
    verifies = PublicKey.verifies
    monkeypatch.setattr(
        PublicKey, "verifies", lambda key, *arguments: tried.append(key.kid) or verifies(key, *arguments)
    )
    return tried


@contextmanager
def captured_statements():
    """Return a list that contains the SQL statements of the block when it ends, of all databases."""
    statements = []
    with ExitStack() as stack:
        contexts = [stack.enter_context(CaptureQueriesContext(each)) for each in connections.all()]
        yield statements
        statements.extend(query["sql"] for context in contexts for query in context.captured_queries)


@contextmanager
def made_instances(model):
    """Return a list of the instances of a model that the block makes, such as of rows that it reads."""
    made = []

    def note(instance, **_kwargs):
        made.append(instance)

    post_init.connect(note, sender=model)
    try:
        yield made
    finally:
        post_init.disconnect(note, sender=model)


@pytest.fixture
def django_assert_num_queries():
    """As pytest-django's own, which looks at one database alone."""

    @contextmanager
    def check(number):
        with captured_statements() as statements:
            yield
        assert len(statements) == number, "\n".join(statements)

    return check


def decoded(token: str) -> tuple[dict, dict]:
    jws = CompactJws.split(token, max_bytes=100_000)
    return jws.header, json.loads(jws.payload)


@dataclass
class OAuthClient:
    """An OAuth client that talks to the toolkit's real endpoints, as a program would."""

    application: object
    browser: Client = field(default_factory=Client)

    @property
    def credentials(self):
        return {"client_id": self.application.client_id, "client_secret": SECRET}

    def post(self, url: str, data: dict, **extra):
        body = urlencode({**self.credentials, **data}, doseq=True)
        return Client().post(url, body, content_type="application/x-www-form-urlencoded", **extra)

    def token(self, grant_type: str, **data):
        return self.post("/o/token/", {"grant_type": grant_type, **data})

    def authorize(self, user, *, response_type="code", scope="read write", allow=True, **parameters):
        """Log in, open the authorization endpoint, agree on the consent page, and give the redirect's parameters."""
        self.browser.force_login(user)
        self.verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": response_type,
            "client_id": self.application.client_id,
            "redirect_uri": REDIRECT_URI,
            "state": "a state",
            "nonce": "a nonce",
            **({"scope": scope} if scope else {}),
            **({"code_challenge": challenge, "code_challenge_method": "S256"} if "code" in response_type else {}),
            **parameters,
        }
        page = self.browser.get("/o/authorize/", {name: value for name, value in query.items() if value is not None})
        if page.status_code == 200:
            form = {name: value for name, value in page.context["form"].initial.items() if value is not None}
            address = f"/o/authorize/?{page.wsgi_request.META['QUERY_STRING']}"
            page = self.browser.post(address, {**form, "allow": "on"} if allow else form)
        assert page.status_code == 302, page.content
        target = urlsplit(page["Location"])
        return {name: values[0] for name, values in parse_qs(target.fragment or target.query).items()}

    def code_flow(self, user, *, exchange=(), **parameters):
        answer = self.authorize(user, **parameters)
        return self.exchange(answer["code"], **dict(exchange))

    def exchange(self, code, **data):
        return self.token(
            "authorization_code", code=code, redirect_uri=REDIRECT_URI, code_verifier=self.verifier, **data
        )


def create_client(grant="authorization-code", **fields):
    """Store a confidential client, and return what talks to the endpoints as this client."""
    return OAuthClient(
        get_application_model().objects.create(
            **{
                "name": f"{grant} client",
                "client_type": "confidential",
                "authorization_grant_type": grant,
                "redirect_uris": REDIRECT_URI,
                "client_secret": SECRET,
                **fields,
            }
        )
    )


@pytest.fixture
def make_client(db):
    return create_client


@pytest.fixture
def web(make_client):
    return make_client()


@pytest.fixture
def service(make_client):
    return make_client("client-credentials")
