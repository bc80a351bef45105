"""Networks: the specification that rebuilds one, the table of known builders, and what of a network reaches its output."""
