"""Training, validation and test parts: by patient where patients are known, duplicates kept together, types balanced.

What belongs together (a patient's images; near duplicates) forms a unit that goes into one part whole. Which units go
where depends only on the file names, the seed and what belongs together, not on the order of the files.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from syntheticcellgan.data.balance import balance
from syntheticcellgan.data.duplicates import components, duplicate_groups
from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.files import write_whole

PARTS = ("train", "validation", "test")
_FORMAT = 1


@dataclass(frozen=True)
class Split:
    """File names of each part (sorted), the seed, and what was kept whole: "patient" or (single) "image"."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    seed: int
    unit: Literal["patient", "image"]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the sorted file names of all parts: tells whether a folder still holds the same files."""
        return _fingerprint((*self.train, *self.validation, *self.test))

    def part(self, manifest: Manifest, name: str) -> Manifest:
        """The records of one part, in the manifest's order; also of a manifest with only some of the files.

        InputError if the manifest holds a file that the split does not know.
        """
        if name not in PARTS:
            raise InputError(f"There is no part {name!r}; the parts are {', '.join(PARTS)}.")
        where = {file: part for part in PARTS for file in getattr(self, part)}
        indices = []
        for index, record in enumerate(manifest.records):
            if record.file not in where:
                raise InputError(
                    f"{manifest.path(record)} is in no part of the split, which was made before; make the split anew."
                )
            if where[record.file] == name:
                indices.append(index)
        return manifest.select(indices)


def split_manifest(
    manifest: Manifest,
    *,
    validation: float = 0.05,
    test: float = 0.20,
    seed: int = 0,
    groups: Sequence[Hashable] | None = None,
) -> Split:
    """Divide a data set, each type in the same proportions as far as the units allow.

    validation, test: shares of the images, 0 or more, below 1 together. groups: one label per record, images with the
    same label stay together; None finds near duplicates by opening the images. Patients, where known, stay whole in
    either case. Of a type with 3 images or more at least one goes into each part, if single images are the units.
    InputError: shares out of range, an image that cannot be read, fewer than 3 patients.
    """
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise InputError(
            f"validation {validation} and test {test} must be 0 or more and leave something to train on (sum below 1)."
        )
    if not len(manifest):
        raise InputError(f"{manifest.root}: there are no images to split.")
    if groups is None:
        groups = duplicate_groups(manifest.path(record) for record in manifest.records).tolist()
    if len(groups) != len(manifest):
        raise InputError(f"{len(groups)} group labels for {len(manifest)} images; give one per image.")
    patients = {record.patient for record in manifest.records if record.patient is not None}
    if patients and len(patients) < sum(share > 0 for share in (1.0, validation, test)):
        raise InputError(
            f"{manifest.root} has images of {len(patients)} patient(s); keeping patients whole, no part is left for a "
            "test. Add patients, or empty the patient column if the images may be mixed."
        )
    units = _units(manifest, groups)
    parts = _assign(manifest, units, {"validation": validation, "test": test}, seed)
    files: dict[str, list[str]] = {part: [] for part in PARTS}
    for unit, part in zip(units, parts, strict=True):
        files[part].extend(manifest.records[index].file for index in unit)
    train, held_out, tested = (tuple(sorted(files[part])) for part in PARTS)
    return Split(train, held_out, tested, seed, "patient" if patients else "image")


def write_split(split: Split, path: str | os.PathLike[str]) -> None:
    """Write the split as JSON; a half-written file never replaces a whole one. ScgError if it cannot be written."""
    content = {
        "format": _FORMAT,
        "seed": split.seed,
        "unit": split.unit,
        "fingerprint": split.fingerprint,
        **{part: list(getattr(split, part)) for part in PARTS},
    }
    target = Path(path)
    try:
        write_whole(target, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise ScgError(f"{target} cannot be written ({error.strerror}); choose another place.") from None


def read_split(path: str | os.PathLike[str]) -> Split:
    """Read what `write_split` wrote. InputError if it is missing, no split, or was changed by hand."""
    name = os.fspath(path)
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{name}: no such file; `scg data split` makes it.") from None
    except (ValueError, OSError, RecursionError) as error:
        raise InputError(f"{name} is not a split that `scg data split` wrote ({error}); make it anew.") from None
    keys = {"format", "seed", "unit", "fingerprint", *PARTS}
    if not isinstance(content, dict) or set(content) != keys or content["format"] != _FORMAT:
        raise InputError(f"{name} is not a split that this version of `scg data split` wrote; make it anew.")
    lists = [content[part] for part in PARTS]
    if not all(isinstance(files, list) and all(isinstance(file, str) for file in files) for files in lists):
        raise InputError(f"{name}: its parts are not lists of file names; make it anew.")
    if not isinstance(content["seed"], int) or content["unit"] not in ("patient", "image"):
        raise InputError(f"{name}: its seed or unit is not valid; make it anew.")
    train, validation, test = (tuple(files) for files in lists)
    split = Split(train, validation, test, content["seed"], content["unit"])
    everything = [*train, *validation, *test]
    if len(set(everything)) != len(everything):
        raise InputError(f"{name}: a file is in two parts; make the split anew.")
    if split.fingerprint != content["fingerprint"]:
        raise InputError(f"{name} was changed after it was written; make the split anew.")
    return split


def _fingerprint(files: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(files)).encode("utf-8", "surrogatepass")).hexdigest()


def _units(manifest: Manifest, groups: Sequence[Hashable]) -> list[list[int]]:
    """Indices of the records that must stay together: the same patient or the same group, also in a chain."""
    first: dict[tuple[str, Hashable], int] = {}
    pairs = []
    for index, record in enumerate(manifest.records):
        pairs.append((index, first.setdefault(("group", groups[index]), index)))
        if record.patient is not None:
            pairs.append((index, first.setdefault(("patient", record.patient), index)))
    return components(len(manifest), pairs)


def _assign(manifest: Manifest, units: list[list[int]], shares: dict[str, float], seed: int) -> list[str]:
    """Part of each unit: those of several images balanced over the types, then single images fill up type by type."""
    names = manifest.cell_types
    counts = manifest.counts
    aims = {part: {name: aim(counts[name], share) for name in names} for part, share in shares.items()}
    aims["train"] = {name: counts[name] - sum(aims[part][name] for part in shares) for name in names}
    types = [Counter(manifest.records[index].cell_type for index in unit) for unit in units]
    keys = [_key(seed, min(manifest.records[index].file for index in unit)) for unit in units]
    order = sorted(range(len(units)), key=lambda u: (-len(units[u]), keys[u]))
    large = [unit for unit in order if len(units[unit]) > 1]
    usable = [part for part in PARTS if part == "train" or shares[part] > 0]
    where = balance(
        np.array([[types[unit][name] for name in names] for unit in large]).reshape(-1, len(names)),
        np.array([[aims[part][name] for name in names] for part in usable]),
    )
    filled: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
    parts = [""] * len(units)
    for unit, part_number in zip(large, where.tolist(), strict=True):
        parts[unit] = usable[part_number]
        filled[parts[unit]].update(types[unit])
    for unit in order[len(large) :]:
        (name,) = types[unit]
        parts[unit] = next((part for part in ("test", "validation") if filled[part][name] < aims[part][name]), "train")
        filled[parts[unit]].update(types[unit])
    for part in usable if any(record.patient for record in manifest.records) else ():
        if part not in parts:  # few, large patients: better a part of the wrong size than none
            giving = max(usable, key=parts.count)
            if parts.count(giving) == 1:
                break
            unit = min(
                (unit for unit in order if parts[unit] == giving), key=lambda unit: (len(units[unit]), keys[unit])
            )
            parts[unit] = part
    return parts


def aim(count: int, share: float) -> int:
    """Images of a type with `count` images that a part of this share should get: at least one, if there are three."""
    if share == 0 or count < 3:
        return 0
    return max(1, round(count * share))


def _key(seed: int, file: str) -> str:
    """A number in hexadecimal that shuffles the files, independent of platform, order and library versions."""
    return hashlib.sha256(f"{seed}/{file}".encode()).hexdigest()
