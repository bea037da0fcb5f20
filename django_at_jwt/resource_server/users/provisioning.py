"""Just-in-time provisioning of users, when the first token with a subject arrives."""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, models, router, transaction
from django.utils.module_loading import import_string

from django_at_jwt.core.errors import RejectionReason, TokenRejected

from .lookup import stored_user, subject_model

if TYPE_CHECKING:
    from django_at_jwt.core.profile import AccessTokenClaims

    from .lookup import UserOptions

logger = logging.getLogger("django_at_jwt")

# Another request may create the same user or take the name between the lookup and the insert.
_ATTEMPTS: Final = 3


def user_at_first_sight(claims: AccessTokenClaims, options: UserOptions) -> Any:
    """Create the user of a new subject, with an unused name and an unusable password.

    Concurrent requests create one user. No existing user is looked up by name or e-mail address, so no claim leads into
    an existing account.

    Raises:
        TokenRejected: the user cannot be created: a value that the site's ``fill`` has set is invalid, or taken by
            another user.
    """
    database = router.db_for_write(get_user_model())
    for attempt in range(_ATTEMPTS):
        try:
            with transaction.atomic(using=database):
                return _create(claims, options, database, rename=attempt > 0)
        except (IntegrityError, DataError):
            # Read from the database for writes, to see what a concurrent request has created.
            if (user := stored_user(claims, options, using=database)) is not None:
                return user
        except ValidationError as error:
            # Only the names of the fields: the values are personal data.
            raise _refusal(", ".join(getattr(error, "error_dict", ["not valid"]))) from None
    raise _refusal("a unique value is taken")


def _refusal(why: str) -> TokenRejected:
    logger.error("A user could not be created at first sight (%s)", why)
    return TokenRejected(RejectionReason.UNKNOWN_SUBJECT, "the user could not be created")


def _create(claims: AccessTokenClaims, options: UserOptions, database: str, *, rename: bool) -> Any:
    user: Any = get_user_model()()
    name_field = type(user)._meta.get_field(type(user).USERNAME_FIELD)
    own_name = _random_name(name_field)
    setattr(user, name_field.attname, own_name)
    user.set_unusable_password()
    if options.fill is not None:
        import_string(options.fill)(user, claims)
    if options.field is not None:
        setattr(user, options.field, claims.subject)
    name = user.get_username()
    keeps_name = name == own_name or options.field == name_field.name
    if rename and not keeps_name:
        setattr(user, name_field.attname, _with_suffix(name, name_field))
    user.clean_fields(exclude=["password"])
    user.save(using=database)
    if not keeps_name and _looks_like_another(user, name_field, database):
        setattr(user, name_field.attname, _with_suffix(name, name_field))
        user.save(using=database, update_fields=[name_field.name])
    if options.field is None:
        subject_model()._default_manager.using(database).create(issuer=claims.issuer, subject=claims.subject, user=user)
    logger.info("User %s was created at first sight", user.pk)
    return user


def _random_name(field: Any) -> str:
    # Random, so that a name cannot be taken before its user is created.
    name = f"user-{secrets.token_hex(8)}"
    return f"{name}@users.invalid" if isinstance(field, models.EmailField) else name


def _with_suffix(name: str, field: Any) -> str:
    if isinstance(field, models.EmailField):
        # A changed address would belong to someone else.
        raise ValidationError({field.name: "taken"})
    suffix = f"-{secrets.token_hex(4)}"
    return name[: (field.max_length or len(name) + len(suffix)) - len(suffix)] + suffix


def _looks_like_another(user: Any, field: Any, database: str) -> bool:
    """Return whether another user's name differs only in case, which people cannot tell apart."""
    # After the insert, since SQLite refuses to write in a transaction that began with a read while others write.
    others = type(user)._default_manager.using(database).exclude(pk=user.pk)
    return bool(others.filter(**{f"{field.name}__iexact": user.get_username()}).exists())
