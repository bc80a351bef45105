"""The folder formats tinysight reads: one file a format, one row here."""

from __future__ import annotations

from tinysight.data.readers.arrays import Arrays
from tinysight.data.readers.base import Reader
from tinysight.data.readers.camvid import CamVidFolders
from tinysight.data.readers.class_folders import ClassFolders
from tinysight.data.readers.facades import Facades
from tinysight.data.readers.image_mask import ImageMaskFolders
from tinysight.data.readers.yolo import YoloBoxes

READERS: dict[str, type[Reader]] = {
    "arrays": Arrays,
    "camvid": CamVidFolders,
    "class_folders": ClassFolders,
    "facades": Facades,
    "image_mask": ImageMaskFolders,
    "yolo": YoloBoxes,
}

__all__ = ["READERS", "Arrays", "CamVidFolders", "ClassFolders", "Facades", "ImageMaskFolders", "Reader", "YoloBoxes"]
