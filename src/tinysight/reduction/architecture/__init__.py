"""Methods that make a new network, a student."""
