"""Authentication and permissions by access token, for Django REST framework."""

from django_at_jwt.conf import require_setup

require_setup()
