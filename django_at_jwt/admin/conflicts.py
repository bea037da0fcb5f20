"""Answer a database conflict with a message: a deadlock, or a lock that another request holds for too long."""

from __future__ import annotations

import logging
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from django_at_jwt.core.quotation import single_line
from django_at_jwt.inbound.outages import is_outage

from .base import ModelAdmin

if TYPE_CHECKING:
    from collections.abc import Callable


logger = logging.getLogger("django_at_jwt")


def answering_conflicts(view: Callable[..., Any]) -> Callable[..., Any]:
    """Answer a conflict during a POST by showing the same page again, with a message.

    Not answered: other errors, and those of a GET.
    """

    @wraps(view)
    def wrapper(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return view(self, request, *args, **kwargs)
        except (DatabaseError, InterfaceError) as error:
            if request.method != "POST" or not is_outage(error):
                raise
            logger.error("%s %s was not completed: %s", request.method, request.path, single_line(error))  # noqa: TRY400 - no traceback is needed
        text = _(
            "The database could not complete this, for instance because another request is changing the same tokens. "
            "Try again."
        )
        messages.error(request, text)
        return HttpResponseRedirect(request.get_full_path())

    return wrapper


class ConflictMessageMixin(ModelAdmin):
    """Answers conflicts on the pages of an admin class, its actions included."""

    @answering_conflicts
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show or save the form of a row."""
        return super().changeform_view(request, *args, **kwargs)

    @answering_conflicts
    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Ask for a confirmation, and delete a row."""
        return super().delete_view(request, *args, **kwargs)

    @answering_conflicts
    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """List the rows, or run an action."""
        return super().changelist_view(request, *args, **kwargs)
