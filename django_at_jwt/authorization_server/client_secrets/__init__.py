"""Client secrets: their keyed hashes, and a limit for wrong ones."""
