"""``python -m tests.swapped.load_fixture FIXTURE``: load it into a site that is not empty, and write what is there."""

import sys

import django
from django.core.management import call_command
from django.db import connections


def main(fixture):
    django.setup()
    for alias in connections:
        call_command("migrate", database=alias, verbosity=0)

    from django_at_jwt.models import ResourceServer

    ResourceServer.objects.create(identifier="https://own.example.com/", name="Its own")
    ResourceServer.objects.create(identifier="https://mail.example.com/", name="Older", lifetime=5)
    options = {"use_natural_foreign_keys": True, "use_natural_primary_keys": True}
    call_command("loaddata", fixture, database="away", verbosity=0)
    call_command("dumpdata", "django_at_jwt.resourceserver", database="away", **options)


if __name__ == "__main__":
    main(*sys.argv[1:])
