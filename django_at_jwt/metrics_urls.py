"""The metrics for Prometheus, for ``path("", include("django_at_jwt.metrics_urls"))``: ``/metrics``.

They include all others in the default registry of ``prometheus_client``, which the extra ``prometheus`` installs.
Anyone who can reach the view can read it: restrict it to Prometheus.
"""

from django.contrib.auth.decorators import login_not_required
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_at_jwt.metrics.prometheus import exposition

app_name = "django_at_jwt_metrics"
urlpatterns = [path("metrics", login_not_required(never_cache(require_safe(exposition))), name="metrics")]
