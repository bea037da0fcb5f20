"""A validator whose requests wait for each other between validation and storage."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from oauth2_provider.oauth2_validators import OAuth2Validator

from django_at_jwt.validators import AccessTokenValidatorMixin
from tests.patience import PATIENCE_SECONDS


class MeetingValidator(AccessTokenValidatorMixin, OAuth2Validator):
    """Stores tokens only when as many requests as ``expected`` have been validated."""

    meeting = threading.Barrier(1)

    @classmethod
    @contextmanager
    def expected(cls, requests: int):
        alone, cls.meeting = cls.meeting, threading.Barrier(requests)
        try:
            yield
        finally:
            cls.meeting = alone

    def save_bearer_token(self, token, request, *args, **kwargs):
        self.meeting.wait(PATIENCE_SECONDS)
        return super().save_bearer_token(token, request, *args, **kwargs)
