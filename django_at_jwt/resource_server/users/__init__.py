"""From the subject of a token to ``request.user``."""
