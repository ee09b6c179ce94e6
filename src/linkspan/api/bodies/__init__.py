"""The bodies of requests and answers as types: what is parsed at the edge, and what the OpenAPI document describes."""
