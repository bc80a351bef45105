"""Measuring what ships: quality, bytes, time and memory come from the exported file, run in a process of its own."""
