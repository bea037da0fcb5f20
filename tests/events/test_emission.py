"""Events: one log record and one signal each, which formatters can read."""

from __future__ import annotations

import inspect
import io
import json
import logging
from dataclasses import fields
from datetime import UTC, datetime

import pytest
import structlog
from pythonjsonlogger.json import JsonFormatter

from django_at_jwt.core.errors import RejectionReason
from django_at_jwt.events import (
    ALL_EVENTS,
    AccessTokenIssued,
    AccessTokenRefused,
    AccessTokenRejected,
    Event,
    KeySigning,
    RotationRan,
    catalogue,
    emit,
)
from django_at_jwt.signals import event_emitted

ISSUED = AccessTokenIssued(
    grant="client_credentials",
    client_id="a client",
    audience=("https://api.example.com/",),
    format="at+jwt",
    algorithm="ES256",
    kid="a key",
    lifetime=300,
    seconds=0.5,
)
# Names that formatters and log collectors set themselves, besides the attributes of a record.
RESERVED = {"message", "asctime", "timestamp", "logger", "exception", "stack", "request", "status_code", "event"}


def formatted(formatter, event):
    """Return what a handler with this formatter writes for an event."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.getLogger("django_at_jwt")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        emit(event)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    [line] = stream.getvalue().splitlines()
    return json.loads(line)


def test_event_is_one_record_with_its_fields(caplog):
    caplog.set_level(logging.INFO, "django_at_jwt")
    emit(ISSUED)
    [record] = caplog.records
    assert record.name == "django_at_jwt.token"
    assert record.getMessage() == "An access token was issued (client_credentials) to client 'a client'"
    assert (record.event, record.kid, record.audience) == ("token.issued", "a key", ["https://api.example.com/"])
    # The caller, as for any other record.
    assert record.filename == "test_emission.py"


def test_event_is_one_signal_whose_sender_is_its_class(events):
    rejected = []

    def receive(event, **_kwargs):
        rejected.append(event)

    event_emitted.connect(receive, sender=AccessTokenRejected)
    other = AccessTokenRejected(where="api", reason="expired", detail="exp has passed")
    emit(ISSUED)
    emit(other)
    assert events == [ISSUED, other]
    assert rejected == [other]


def test_receiver_that_fails_does_not_fail_the_request(events, caplog):
    def fail(**_kwargs):
        raise RuntimeError("the collector is down")

    event_emitted.connect(fail)
    emit(ISSUED)
    event_emitted.disconnect(fail)
    assert events == [ISSUED]
    assert "the collector is down" in caplog.text


def test_record_that_no_level_wants_is_not_made(caplog, monkeypatch):
    caplog.set_level(logging.WARNING, "django_at_jwt")
    monkeypatch.setattr(Event, "fields", lambda self: pytest.fail("the fields were read"))
    emit(ISSUED)


def test_json_formatter_writes_the_fields():
    line = formatted(JsonFormatter("{levelname}{name}{message}", style="{"), ISSUED)
    assert line == {
        "levelname": "INFO",
        "name": "django_at_jwt.token",
        "message": "An access token was issued (client_credentials) to client 'a client'",
        "event": "token.issued",
        **ISSUED.fields(),
    }


def test_structlog_writes_the_fields():
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.ExtraAdder()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
    )
    assert formatted(formatter, ISSUED) == {"level": "info", "event": "token.issued", **ISSUED.fields()}


def test_values_are_those_of_json():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert KeySigning(kid="a", algorithm="ES256", since=at).fields()["since"] == "2026-01-01T00:00:00+00:00"
    rejected = AccessTokenRejected(where="api", reason=RejectionReason.EXPIRED, detail="exp has passed")
    assert type(rejected.fields()["reason"]) is str


@pytest.mark.parametrize(("error", "level"), [("server_error", logging.ERROR), ("invalid_grant", logging.INFO)])
def test_level_of_a_refusal_says_whose_fault_it_is(error, level):
    refused = AccessTokenRefused(endpoint="token", grant=None, client_id=None, error=error, reason="")
    assert refused.level == level


def test_failed_rotation_says_why():
    failed = RotationRan(outcome="failed", problem="no key opens")
    assert failed.text % failed.fields() == "The signing keys were not rotated: no key opens"
    assert "2 made" in RotationRan(outcome="changed", made=2).text % RotationRan(outcome="changed", made=2).fields()


@pytest.mark.parametrize("event", ALL_EVENTS, ids=lambda event: event.name)
class TestEveryEvent:
    def test_has_no_field_that_a_record_or_a_formatter_uses(self, event):
        names = {field.name for field in fields(event)}
        record = logging.makeLogRecord({})
        assert not names & {*vars(record), *RESERVED}

    def test_has_a_message_of_its_fields(self, event):
        values = {field.name: 0 for field in fields(event)}
        assert event.message % values

    def test_documents_its_fields(self, event):
        declaring = (each for each in event.__mro__ if each is not Event and issubclass(each, Event))
        documented = "".join(inspect.getdoc(each).partition("Attributes:")[2] for each in declaring)
        assert [name for name in (field.name for field in fields(event)) if f"\n    {name}: " not in documented] == []


def test_names_are_unique_and_all_events_are_listed():
    declared = {
        each
        for each in vars(catalogue).values()
        if isinstance(each, type) and issubclass(each, Event) and hasattr(each, "name")
    }
    assert declared == set(ALL_EVENTS)
    assert len({event.name for event in ALL_EVENTS}) == len(ALL_EVENTS)
