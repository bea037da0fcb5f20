"""The gate before a view that is not Django REST framework's, with the framework's own rules and answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils.cache import patch_vary_headers
from rest_framework.renderers import JSONRenderer
from rest_framework.views import APIView

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase


class Guard(APIView):
    """A view without a handler: it authenticates a plain request and checks its permissions, and that is all.

    So a plain view has no rules of its own, and its clients are answered as those of any API of the site.

    Attributes:
        required_scopes: as for :class:`~.permissions.HasScopes`.
    """

    renderer_classes = [JSONRenderer]
    required_scopes: ClassVar[Any] = None

    def refusal(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase | None:
        """Give the answer to a request that must not get through; let the others through, with who they are.

        Those have ``access_token``, and their ``user`` is whom the token speaks for, whatever session there is besides.

        Raises:
            ImproperlyConfigured: the gate was not told what to ask for, or the project not what to expect.
        """
        self.args, self.kwargs = args, kwargs
        self.request = self.initialize_request(request, *args, **kwargs)
        self.headers = self.default_response_headers
        try:
            self.perform_authentication(self.request)
            self.check_permissions(self.request)
        except Exception as error:  # noqa: BLE001 - what is not the framework's is raised again by it
            # While debugging, the framework asks for this before it raises again what is not its own.
            negotiated = self.perform_content_negotiation(self.request, force=True)
            self.request.accepted_renderer, self.request.accepted_media_type = negotiated
            response = self.finalize_response(self.request, self.handle_exception(error), *args, **kwargs)
            depends_on_token(response)
            rendered: HttpResponseBase = response.render()
            return rendered
        user = request.user

        async def auser() -> Any:
            return user

        request.access_token = self.request.auth  # type: ignore[attr-defined]
        request.auser = auser  # Django's would read the session.
        return None

    @property
    def allowed_methods(self) -> list[str]:
        """What ``Allow`` says in a 405: the methods that the scopes are said of."""
        said = self.required_scopes
        return list(said) if isinstance(said, Mapping) else []

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Give ``Allow`` where something is known of it: which methods there are is the view's matter."""
        return {"Allow": ", ".join(self.allowed_methods)} if self.allowed_methods else {}


def depends_on_token(response: HttpResponseBase) -> None:
    """Keep a cache that does not know better, such as Django's own, from showing an answer to others."""
    patch_vary_headers(response, ("Authorization",))
