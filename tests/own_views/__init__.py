"""Sites that serve the authorization server's endpoints with views of their own."""
