"""Requests to other servers: one client with limits, and the addresses that it may connect to."""
