"""How long a test waits for something that must happen."""

from __future__ import annotations

# It bounds how long a test hangs before it fails, and expects nothing of the machine's speed.
PATIENCE_SECONDS = 600
