"""Views with permissions, and what they answer."""

from __future__ import annotations

from rest_framework.response import Response
from rest_framework.views import APIView

from django_at_jwt.rest_framework import AccessTokenAuthentication
from tests.resource_server.signed_tokens import ask


class Api(APIView):
    authentication_classes = [AccessTokenAuthentication]

    def get(self, request):
        return Response({"user": str(request.user)})

    post = get


def view_of(*permissions, base=Api, **attributes):
    return type("Tried", (base,), {"permission_classes": list(permissions), **attributes}).as_view()


def insufficient(scope, description=None):
    told = f', error_description="{description}"' if description else ""
    return f'Bearer error="insufficient_scope", scope="{scope}"{told}'


def outcome(view, credentials=None, method="GET"):
    answer = ask(view, credentials, method)
    return answer.status_code, answer.get("WWW-Authenticate")
