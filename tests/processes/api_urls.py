import os

from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView


class Api(APIView):
    def get(self, request):
        return Response({"sub": request.auth["sub"] if request.auth else None, "pid": os.getpid()})


urlpatterns = [path("", Api.as_view())]
