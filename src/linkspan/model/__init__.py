"""The nouns, as frozen values. Standard library only, no I/O."""
