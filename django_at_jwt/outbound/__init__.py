"""Requests to other servers, by one client with limits."""
