"""The front door for HTTP clients: Docker's Engine API, and /linkspan/v1 for what that has no words for."""
