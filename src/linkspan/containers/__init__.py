"""Processes in sandboxes: an OCI runtime under a monitor that outlives us."""
