"""Sites that serve the authorization server's endpoints with their own views."""
