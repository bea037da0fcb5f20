"""The page about monitoring: each file on it does what the page says."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from types import ModuleType, SimpleNamespace

import django
import pytest
from django.core import mail
from django.test import Client, override_settings

from django_at_jwt.authorization_server.keys.revocation import revoke_signing_key
from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.signals import event_emitted

from .blocks import MONITORING, blocks_of

BLOCKS = {block.file: block for block in blocks_of(MONITORING) if block.language == "python"}


def executed(file, **names):
    module = ModuleType(file)
    vars(module).update(names)
    exec(BLOCKS[file].text, vars(module))
    return module


@pytest.fixture
def logged():
    """Return the lines that the page's logging configuration writes."""
    stream = io.StringIO()
    config = executed("mysite/settings.py").LOGGING
    config["handlers"]["events"]["stream"] = stream
    logger = logging.getLogger("django_at_jwt")
    level, handlers = logger.level, list(logger.handlers)
    logging.config.dictConfig(config)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.setLevel(level)
    logger.handlers[:] = handlers


@pytest.mark.django_db
@pytest.mark.usefixtures("keys_made_quickly")
class TestPage:
    def test_events_as_json(self, logged):
        rotate_signing_keys()
        [*_, line] = logged()
        [shown] = [json.loads(block.text) for block in blocks_of(MONITORING) if block.language == "json"]
        assert line["event"] == shown["event"] == "rotation.ran"
        assert shown.keys() <= line.keys()
        assert {name: type(line[name]) for name in shown} == {name: type(shown[name]) for name in shown}

    def test_receiver(self, settings):
        # From Django 6.0 on, addresses without names.
        settings.ADMINS = ["admin@example.com"] if django.VERSION >= (6,) else [("Admin", "admin@example.com")]
        receivers = executed("mysite/receivers.py")
        try:
            old, _new = rotate_signing_keys().keys
            revoke_signing_key(old.kid, reason="leaked")
        finally:
            event_emitted.disconnect(receivers.tell_admins, sender=receivers.KeyRevoked)
        [message] = mail.outbox
        assert old.kid in message.body

    def test_view(self):
        urls = executed("mysite/urls.py", urlpatterns=[])
        with override_settings(ROOT_URLCONF=urls):
            assert b"django_at_jwt_signing_keys" in Client().get("/metrics").content


class TestHookOfGunicorn:
    """What the hook does when a worker exits; an exception in it would stop gunicorn."""

    worker = SimpleNamespace(pid=7)

    def test_marks_the_worker_as_dead(self, monkeypatch, tmp_path):
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
        for pid in 7, 8:
            (tmp_path / f"gauge_livesum_{pid}.db").touch()
        executed("gunicorn.conf.py").child_exit(None, self.worker)
        assert [file.name for file in tmp_path.iterdir()] == ["gauge_livesum_8.db"]

    def test_does_nothing_without_the_directory(self, monkeypatch):
        monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
        executed("gunicorn.conf.py").child_exit(None, self.worker)
