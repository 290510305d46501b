"""BloodMNIST (MedMNIST, Yang et al. 2023): one .npz with {train,val,test}_{images,labels}; sizes 28, 64, 128, 224.

The arrays are read image by image from the archive, never through pickle, so that the 224-pixel file needs no 2.6 GB.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from syntheticcellgan.data.importers.layout import Item, Layout
from syntheticcellgan.errors import InputError

_PARTS = ("train", "val", "test")
# The order of the labels 0 to 7 in MedMNIST's info.json.
_TYPES = (
    "basophil",
    "eosinophil",
    "erythroblast",
    "immature_granulocyte",
    "lymphocyte",
    "monocyte",
    "neutrophil",
    "platelet",
)
_LARGEST_SIDE = 1024


def _find(source: Path) -> Path | None:
    files = [source] if source.is_file() else sorted([*source.glob("*.npz"), *source.glob("*/*.npz")])
    found = [file for file in files if _is_set(file)]
    if len(found) > 1:
        raise InputError(f"{source} holds {found[0].name} and {found[1].name}; give one of them.")
    return found[0] if found else None


def _is_set(file: Path) -> bool:
    if file.suffix.lower() != ".npz" or not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return {"train_images.npy", "train_labels.npy"} <= set(archive.namelist())


def _items(file: Path) -> Iterator[Item]:
    try:
        with zipfile.ZipFile(file) as archive:
            names = set(archive.namelist())
            for part in _PARTS:
                if f"{part}_images.npy" in names:
                    yield from _part(file, archive, part)
    except (zipfile.BadZipFile, EOFError, KeyError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file} is damaged ({error}); fetch it anew.") from None


def _part(file: Path, archive: zipfile.ZipFile, part: str) -> Iterator[Item]:
    with archive.open(f"{part}_labels.npy") as stream:
        shape = _header(stream, file)
        if math.prod(shape) != shape[0]:
            raise InputError(f"{file}: {part}_labels are not one number per image; give bloodmnist*.npz.")
        labels = np.frombuffer(stream.read(shape[0]), np.uint8)
    with archive.open(f"{part}_images.npy") as stream:
        shape = _header(stream, file)
        if len(shape) != 4 or shape[3] != 3 or max(shape[1:3]) > _LARGEST_SIDE or shape[0] != len(labels):
            raise InputError(f"{file}: {part}_images of shape {shape} are not BloodMNIST's; give bloodmnist*.npz.")
        if len(labels) and np.max(labels) >= len(_TYPES):
            raise InputError(f"{file} has the label {np.max(labels)}, BloodMNIST only 0 to 7; give bloodmnist*.npz.")
        size = math.prod(shape[1:])
        for index, label in enumerate(labels.tolist()):
            pixels = np.frombuffer(stream.read(size), np.uint8).reshape(shape[1:])
            name = f"{part}_{index:05d}.png"
            yield Item(
                name,
                _TYPES[label],
                pixels,
                f"{part}_images[{index}]",
                laboratory="Hospital Clinic of Barcelona",
                attributes={"split": part},
            )


def _header(stream: IO[bytes], file: Path) -> tuple[int, ...]:
    """Shape of the .npy array whose data follow; InputError unless they are plain bytes in C order."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = read(stream)
    if dtype != np.uint8 or fortran_order or not shape:
        raise InputError(f"{file}: its arrays are of {dtype}, not of bytes; give bloodmnist*.npz.")
    return tuple(int(length) for length in shape)


LAYOUT = Layout(
    "bloodmnist",
    "BloodMNIST (Yang et al. 2023)",
    "a file bloodmnist*.npz",
    _find,
    _items,
)
