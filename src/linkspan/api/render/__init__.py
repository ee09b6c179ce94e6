"""From the model's values to the bodies Docker's clients expect: pure functions."""
