"""What each layer of a run's network is worth: it alone is cut, or rounded."""
