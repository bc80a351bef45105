"""Methods by which a student learns from the reference."""
