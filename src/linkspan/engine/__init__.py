"""The loop: validate, plan, apply, remember, announce; and heal. One facade for every front door."""
