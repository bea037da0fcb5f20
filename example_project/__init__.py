"""An example: an authorization server and two small APIs with different audiences."""
