"""Training: one loop, the losses, and the batches it eats."""
