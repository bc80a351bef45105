"""Data sets drawn on the fly, one file a scene."""
