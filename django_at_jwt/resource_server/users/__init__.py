"""Resolution of a token's subject to ``request.user``."""
