"""How long a test waits for what must come.

Such a limit is there to end a test that would hang, and says nothing about how fast anything is: it has to hold on a
machine that is busy with much else. Far below pytest's own (see pyproject.toml), so that the test says where.
"""

PATIENCE = 30.0
"""Seconds for what must come."""
SHORT = 0.4
"""Seconds for what must not come."""
