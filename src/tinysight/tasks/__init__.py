"""What is predicted and how it is scored: one file a task, one row here. Nothing in this room imports torch."""

from __future__ import annotations

from tinysight.tasks.base import Task
from tinysight.tasks.classification import Classification
from tinysight.tasks.segmentation import Segmentation

TASKS: dict[str, type[Task]] = {
    "segmentation": Segmentation,
    "classification": Classification,
}

__all__ = ["TASKS", "Classification", "Segmentation", "Task"]
