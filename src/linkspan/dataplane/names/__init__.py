"""The name server of the data plane: answers for the sandboxes of shared networks, and forwards the rest."""
