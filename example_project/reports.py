"""The second API: statistics about all notes, with the audience ``/reports/``, for services and users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import Count
from rest_framework.response import Response
from rest_framework.views import APIView

from django_at_jwt.rest_framework import AccessTokenAuthentication, HasScopes

from .models import Note

if TYPE_CHECKING:
    from rest_framework.request import Request


class Summary(APIView):
    authentication_classes = [AccessTokenAuthentication.for_audience(settings.REPORTS_API)]
    permission_classes = [HasScopes("reports:read")]

    def get(self, request: Request) -> Response:
        figures = Note.objects.aggregate(notes=Count("id"), authors=Count("owner", distinct=True))
        return Response({**figures, "read_by": str(request.user), "client_id": request.auth.client_id})
