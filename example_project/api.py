"""The first API: each user's notes, with the audience ``/api/``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from rest_framework import generics, permissions, serializers

from django_at_jwt.rest_framework import AccessTokenAuthentication, HasScopes, MachinePrincipal

from .models import Note

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request


class NoteSerializer(serializers.ModelSerializer):
    class Meta:
        model = Note
        fields = ["id", "text", "written_at"]


class IsUserOrReads(permissions.BasePermission):
    message = "A client that acts for itself cannot write notes."

    def has_permission(self, request: Request, _view: Any) -> bool:
        return request.method in permissions.SAFE_METHODS or not isinstance(request.user, MachinePrincipal)


class Notes(generics.ListCreateAPIView):
    authentication_classes = [AccessTokenAuthentication.for_audience(settings.NOTES_API)]
    permission_classes = [HasScopes, IsUserOrReads]
    required_scopes = {"GET": ["api:read"], "POST": ["api:write"]}
    serializer_class = NoteSerializer

    def get_queryset(self) -> QuerySet[Note]:
        if isinstance(self.request.user, MachinePrincipal):
            return Note.objects.none()
        return Note.objects.filter(owner=self.request.user)

    def perform_create(self, serializer: NoteSerializer) -> None:
        serializer.save(owner=self.request.user)
