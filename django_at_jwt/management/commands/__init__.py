"""Management commands, one in a module."""
