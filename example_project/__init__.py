"""An example: an authorization server and two small APIs, each with an audience of its own."""
