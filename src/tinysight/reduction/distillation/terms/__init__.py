"""Terms that a distillation may add to its loss: one file each."""
