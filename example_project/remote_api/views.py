"""A view for clients with a token of the issuer for this API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.response import Response
from rest_framework.views import APIView

if TYPE_CHECKING:
    from rest_framework.request import Request


class WhoAmI(APIView):
    def get(self, request: Request) -> Response:
        token = request.auth
        return Response({"issuer": token["iss"], "subject": token["sub"], "client": token.client_id})
