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
fitted = {resized}""",
    "pad": """\
fitted = np.full(({height}, {width}, {channels}), {padding}, photo.dtype)
fitted[: filled[0], : filled[1]] = {resized}""",
}

SCALED = {
    True: "cv2.resize(photo, ({wide}, {high}), interpolation=shrink).reshape({high}, {wide}, -1)",
    False: "np.dstack([cv2.resize(one, ({wide}, {high}), interpolation=shrink) for one in photo.transpose(2, 0, 1)])",
}
"""The photo at another size, by whether OpenCV takes as many channels at once."""

AT_ONCE = 4

NORMALISE = {
    "tinysight": """\
image = ((fitted / 255 - {mean}) / {std}).astype(np.float32)""",
    "caller": """\
image = fitted""",
}

VIEWS = """\
def starts(length, window):
    room = max(0, length - window)
    return np.linspace(0, room, 1 + math.ceil(room / (window * (1 - {overlap})))).round().astype(int)


def views():
    for scale in {scales}:
        high, wide = max(1, round({high} * scale)), max(1, round({wide} * scale))
        shrink = cv2.INTER_AREA if rows > high or columns > wide else cv2.INTER_LINEAR
        scaled = {resized}
        for mirrored in {mirrored}:
            for top in starts(high, {height}):
                for left in starts(wide, {width}):
                    part = scaled[top : top + {height}, left : left + {width}]
                    window = np.full(({height}, {width}, {channels}), {padding}, photo.dtype)
                    window[: part.shape[0], : part.shape[1]] = part
                    yield (high, wide, mirrored), top, left, window[:, ::-1] if mirrored else window


session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
seen = {{}}
for view, top, left, fitted in views():
    {normalise}
    scores = session.run(None, {{session.get_inputs()[0].name: image.transpose(2, 0, 1)[None]}})[0][0]
    seen.setdefault(view, []).append((top, left, scores))"""
"""Windows of the photo, scaled and mirrored; see ``InputPolicy.views``."""

CONTENT = {"resize": ("{height}", "{width}"), "pad": ("filled[0]", "filled[1]"), "slide": ("rows", "columns")}
"""The photo's size before scaling, in the terms of the program."""

FILLED = """\
scale = min({height} / rows, {width} / columns)
filled = max(1, min({height}, round(rows * scale))), max(1, min({width}, round(columns * scale)))"""

RUN = """\
session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
scores = session.run(None, {{session.get_inputs()[0].name: image.transpose(2, 0, 1)[None]}})[0][0]"""


def snippet(policy: InputPolicy, task: Task) -> str:
    """Return a program that turns ``photo.jpg`` (or ``photo.npy``) into the task's prediction.

    It does what ``InputPolicy`` and the task do, for this one policy; a test holds them together.
    """
    own = policy.normalised_by == "caller"
    high, wide = _size(policy)
    values = {
        "height": policy.height,
        "width": policy.width,
        "channels": len(policy.mean),
        "padding": 0 if own else tuple(round(255 * mean) for mean in policy.mean),
        "mean": policy.mean,
        "std": policy.std,
        "overlap": policy.overlap,
        "scales": policy.scales,
        "mirrored": (False, True) if policy.flip else (False,),
        "resized": SCALED[len(policy.mean) <= AT_ONCE].format(high=high, wide=wide),
    }
    program = _one_input(policy) if policy.plain else _many_inputs(policy)
    lines = [
        IMPORTS if policy.plain else f"import math\n\n{IMPORTS}",
        READ[policy.normalised_by],
        "rows, columns = photo.shape[:2]",
        *program,
    ]
    return "\n".join([*(line.format(**values) for line in lines), task.program(policy)])


def _size(policy: InputPolicy) -> tuple[str, str]:
    """Return the rows and columns that the photo is brought to, in the terms of the program."""
    if not policy.plain:
        return "high", "wide"
    return ("filled[0]", "filled[1]") if policy.mode == "pad" else (str(policy.height), str(policy.width))


def _one_input(policy: InputPolicy) -> list[str]:
    return [
        "shrink = cv2.INTER_AREA if rows > {height} or columns > {width} else cv2.INTER_LINEAR",
        *([FILLED] if policy.mode == "pad" else []),
        FIT[policy.mode],
        NORMALISE[policy.normalised_by],
        RUN,
    ]


def _many_inputs(policy: InputPolicy) -> list[str]:
    high, wide = CONTENT[policy.mode]
    program = VIEWS.replace("{high}", high).replace("{wide}", wide)
    program = program.replace("{normalise}", NORMALISE[policy.normalised_by])
    return [*([FILLED] if policy.mode == "pad" else []), "", "", program]
