"""Remembers desired state."""
