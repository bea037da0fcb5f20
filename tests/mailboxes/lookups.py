"""Lookups from a subject to its row, as a site may write them."""

from django.contrib.auth import get_user_model

from .models import Mailbox


def mailbox_of(claims, token):
    return Mailbox.objects.filter(pk=claims.subject).first()


def subject_of(user):
    return f"mailbox-{user.pk}"


def mailbox_by_subject(subject):
    return Mailbox.objects.filter(pk=subject.removeprefix("mailbox-")).first()


def user_by_subject(subject):
    """It looks in the wrong table, like the example of a site that has but one."""
    return get_user_model().objects.filter(pk=subject.removeprefix("mailbox-")).first()
