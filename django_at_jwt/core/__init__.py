"""The rules of the RFCs on plain values: no Django, no settings, no clock, no input or output."""
