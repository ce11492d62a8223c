"""Domain generalisation: which runs count on every transfer, and what they say together."""
