"""Backends of a site, and callables that say how its users have logged in."""

import time

from django.contrib.auth.backends import BaseBackend, ModelBackend
from django.contrib.auth.models import User

from django_at_jwt.authentication import AuthenticationEvent


class Subclass(ModelBackend):
    pass


class BadgeBackend(BaseBackend):
    def authenticate(self, request, badge=None):
        return User.objects.filter(username=badge).first()

    def get_user(self, user_id):
        return User.objects.filter(pk=user_id).first()


def by_smart_card(request, user):
    return AuthenticationEvent(authenticated_at=1_700_000_000, methods=("sc", "pin", "mfa"))


def with_a_context(request, user):
    return AuthenticationEvent(authenticated_at=1_700_000_000, context="urn:example:from-the-event")


def nothing_to_say(request, user):
    return None


def not_mine(request, user):
    return NotImplemented


def in_the_future(request, user):
    return AuthenticationEvent(authenticated_at=int(time.time()) + 3600)


def no_event(request, user):
    return {"auth_time": 1}


def context_of(event, user):
    return f"urn:example:{user.username}:{len(event.methods)}"


def no_text(event, user):
    return 3


not_a_function = "x"
