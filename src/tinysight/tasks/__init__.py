"""What is predicted and how it is scored: one file a task, one row here. Nothing in this room imports torch."""

from __future__ import annotations

from tinysight.tasks.base import Task
from tinysight.tasks.segmentation import Segmentation

TASKS: dict[str, type[Task]] = {
    "segmentation": Segmentation,
}

__all__ = ["TASKS", "Segmentation", "Task"]
