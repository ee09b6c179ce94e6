"""The `linkspan` command: a client of the API."""
