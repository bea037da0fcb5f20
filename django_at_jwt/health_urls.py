"""The health of this process, for ``path("health/", include("django_at_jwt.health_urls"))``.

It is for readiness probes and load balancers. It is not included by ``django_at_jwt.urls``. To decide who sees details,
mount a subclass of :class:`HealthView` instead.
"""

from django.urls import path

from .health.view import HealthView

__all__ = ["HealthView", "app_name", "urlpatterns"]

app_name = "django_at_jwt_health"
urlpatterns = [path("", HealthView.as_view(), name="health")]
