"""Django settings of one variant: those of ``BENCHMARK_SETTINGS``, a JSON object, on the site of the benchmarks."""

from __future__ import annotations

import json
import os

from django.conf.global_settings import PASSWORD_HASHERS as _DEFAULT_HASHERS

from benchmarks.site_settings import *  # noqa: F403
from benchmarks.site_settings import DATABASES

DATABASES = {name: {**database, "CONN_MAX_AGE": 600} for name, database in DATABASES.items()}
ROOT_URLCONF = "benchmarks.throughput.urls"
# The users' passwords are not measured.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",
    *_DEFAULT_HASHERS,
    "django_at_jwt.hashers.ClientSecretHasher",
]
REST_FRAMEWORK = {
    # Only authentication is measured.
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
globals().update(json.loads(os.environ.get("BENCHMARK_SETTINGS", "{}")))
