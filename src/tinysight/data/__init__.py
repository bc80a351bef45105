"""Samples in named splits, the readers that find them, and the input policy that prepares them for a network."""

from tinysight.data.policy import InputPolicy
from tinysight.data.sample import Dataset, FileSample, Sample

__all__ = ["Dataset", "FileSample", "InputPolicy", "Sample"]
