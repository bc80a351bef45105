"""What stands in a simulated network where a tensor is rounded; one file for each way in which its range is found."""
