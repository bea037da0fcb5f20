"""Claim mappers applied to tokens: registry, sources, preview, change impact, import and export."""
