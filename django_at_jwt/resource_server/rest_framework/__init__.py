"""Access tokens in Django REST framework."""
