"""The formats of data sets tinysight reads: one file a format, one row here."""

from __future__ import annotations

from tinysight.data.readers.arrays import Arrays
from tinysight.data.readers.base import Reader
from tinysight.data.readers.camvid import CamVidFolders
from tinysight.data.readers.cityscapes import CityscapesFolders
from tinysight.data.readers.class_folders import ClassFolders
from tinysight.data.readers.coco import CocoObjects
from tinysight.data.readers.csv_list import CsvList
from tinysight.data.readers.drawn import Facades, Goods, Plants
from tinysight.data.readers.huggingface import HuggingFace
from tinysight.data.readers.image_mask import ImageMaskFolders
from tinysight.data.readers.voc import VocFolders
from tinysight.data.readers.yolo import YoloObjects

READERS: dict[str, type[Reader]] = {
    "arrays": Arrays,
    "camvid": CamVidFolders,
    "cityscapes": CityscapesFolders,
    "class_folders": ClassFolders,
    "coco": CocoObjects,
    "csv": CsvList,
    "facades": Facades,
    "goods": Goods,
    "huggingface": HuggingFace,
    "image_mask": ImageMaskFolders,
    "plants": Plants,
    "voc": VocFolders,
    "yolo": YoloObjects,
}

__all__ = [
    "READERS",
    "Arrays",
    "CamVidFolders",
    "CityscapesFolders",
    "ClassFolders",
    "CocoObjects",
    "CsvList",
    "Facades",
    "Goods",
    "HuggingFace",
    "ImageMaskFolders",
    "Plants",
    "Reader",
    "VocFolders",
    "YoloObjects",
]
