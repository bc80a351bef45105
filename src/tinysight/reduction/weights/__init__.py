"""Methods that change the values of weights."""
