"""Networks: the specification that rebuilds one, the table of known builders, and what reaches the output."""
