"""Authentication and permissions by access token, for Django REST framework."""
