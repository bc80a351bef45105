"""Methods that change modules."""
