"""Plain Python for a bundle's card: what ``predict`` does, with onnxruntime, OpenCV and Pillow alone."""

from __future__ import annotations

from tinysight.data import InputPolicy
from tinysight.tasks import Task

__all__ = ["snippet"]

IMPORTS = """\
import cv2
import numpy as np
import onnxruntime"""

READ = {
    "tinysight": """\
from PIL import Image

photo = np.asarray(Image.open("photo.jpg").convert("RGB"))  # pixels as stored: no EXIF rotation""",
    "caller": """\

photo = np.load("photo.npy").transpose(1, 2, 0).astype(np.float32)  # normalised by your own code, channels first""",
}

FIT = {
    "resize": """\
fitted = cv2.resize(photo, ({width}, {height}), interpolation=shrink).reshape({height}, {width}, -1)""",
    "pad": """\
scale = min({height} / rows, {width} / columns)
filled = max(1, min({height}, round(rows * scale))), max(1, min({width}, round(columns * scale)))
fitted = np.full(({height}, {width}, {channels}), {padding}, photo.dtype)
scaled = cv2.resize(photo, filled[::-1], interpolation=shrink)
fitted[: filled[0], : filled[1]] = scaled.reshape(*filled, -1)""",
}

NORMALISE = {
    "tinysight": """\
image = ((fitted / 255 - {mean}) / {std}).astype(np.float32)""",
    "caller": """\
image = fitted""",
}

RUN = """\
session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
scores = session.run(None, {{session.get_inputs()[0].name: image.transpose(2, 0, 1)[None]}})[0][0]"""


def snippet(policy: InputPolicy, task: Task) -> str:
    """Return a program that turns ``photo.jpg`` (or ``photo.npy``) into the task's prediction.

    It does what ``InputPolicy`` and the task do, for this one policy; a test holds them together.
    """
    own = policy.normalised_by == "caller"
    values = {
        "height": policy.height,
        "width": policy.width,
        "channels": len(policy.mean),
        "padding": 0 if own else tuple(round(255 * mean) for mean in policy.mean),
        "mean": policy.mean,
        "std": policy.std,
    }
    lines = [
        IMPORTS,
        READ[policy.normalised_by],
        "rows, columns = photo.shape[:2]",
        "shrink = cv2.INTER_AREA if rows > {height} or columns > {width} else cv2.INTER_LINEAR",
        FIT[policy.mode],
        NORMALISE[policy.normalised_by],
        RUN,
    ]
    return "\n".join([*(line.format(**values) for line in lines), task.program(policy)])
