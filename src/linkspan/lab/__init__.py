"""Computers in namespaces, for tests and the demo."""
