from __future__ import annotations

import pytest

from django_at_jwt.signals import event_emitted


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
