from django.urls import include, path

urlpatterns = [path("o/", include("django_at_jwt.urls"))]
