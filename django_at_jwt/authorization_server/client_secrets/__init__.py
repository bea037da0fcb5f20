"""Client secrets: their keyed hashes, and a limit for what wrong ones cost."""
