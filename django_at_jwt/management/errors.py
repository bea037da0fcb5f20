"""Expected failures of a command: one line and an exit status, usually 1."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import Error as AnyDatabaseError

from django_at_jwt.core.errors import KeyChangeRefused, NoSigningKey
from django_at_jwt.core.quotation import single_line

if TYPE_CHECKING:
    from collections.abc import Iterator

MIGRATE_HINT: Final = "Is the database up, and was manage.py migrate run?"


@contextmanager
def as_command_error(undone: str, *, hint: str = "", returncode: int = 1) -> Iterator[None]:
    """Turn expected errors into a ``CommandError`` of one line: refusals, invalid settings and database errors.

    Args:
        undone: what was not done; precedes the message of the database or of a key that cannot be decrypted.
        hint: a sentence to append to a database error.
        returncode: the exit status.

    Raises:
        CommandError: with a text that contains no key and no token.
    """
    try:
        yield
    except (KeyChangeRefused, ImproperlyConfigured) as error:
        raise CommandError(single_line(error), returncode=returncode) from None
    except NoSigningKey as error:
        raise CommandError(f"{undone}: {single_line(error)}.", returncode=returncode) from None
    except (AnyDatabaseError, TimeoutError) as error:
        text = f"{undone}: {single_line(error)}.{hint and f' {hint}'}"
        raise CommandError(text, returncode=returncode) from None
