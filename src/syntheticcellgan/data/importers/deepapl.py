"""DeepAPL (Sidhom et al. 2021): cells of APL and other AML patients, signed off by type, and the patients' diagnoses.

Layout: `…/Patient_NN/Signed slides/<type>/XX_123.jpg` and `master.csv` (Patient_ID, Diagnosis, Cohort, …) in the same
folder or one of the two above it. `Unsigned slides` have no type and are left out, and so are age and gender.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from syntheticcellgan.cell_types import resolve, slug
from syntheticcellgan.data.importers.layout import Item, Layout, folders, images, search
from syntheticcellgan.errors import InputError

_SIGNED = "Signed slides"
_NO_TYPE = frozenset({"unidentified", "young_unidentified", "artifact", "artefact", "arifact"})
_SUBTYPES = {"band_neutrophil": "band", "segmented_neutrophil": "segmented"}


def _here(folder: Path) -> bool:
    return any((child / _SIGNED).is_dir() for child in folders(folder) if child.name.startswith("Patient_"))


def _items(root: Path) -> Iterator[Item]:
    diagnoses = _diagnoses(root)
    for patient in folders(root):
        signed = patient / _SIGNED
        if not patient.name.startswith("Patient_") or not signed.is_dir():
            continue
        if patient.name not in diagnoses:
            raise InputError(f"{root}: master.csv has no row for {patient.name}; add its diagnosis or take it out.")
        diagnosis, cohort = diagnoses[patient.name]
        for folder in folders(signed):
            cell_type, subtype = _type(folder.name, diagnosis)
            for path, file in images(folder):
                yield Item(
                    path.name,
                    cell_type,
                    path,
                    f"{patient.name}/{_SIGNED}/{folder.name}/{file}",
                    subtype=subtype,
                    patient=patient.name,
                    laboratory="Johns Hopkins Hospital",
                    attributes={"diagnosis": diagnosis, "cohort": cohort},
                )


def _type(folder: str, diagnosis: str) -> tuple[str, str | None]:
    """Type and subtype: blasts and promyelocytes are told apart by the patient's proven diagnosis."""
    name = slug(folder)
    if not name or name in _NO_TYPE:
        return "", None
    known = resolve(folder).name
    if known in ("blast", "promyelocyte"):
        return f"{known}_{diagnosis.lower()}", None
    if known in _SUBTYPES:
        return "neutrophil", _SUBTYPES[known]
    return known, None


def _diagnoses(root: Path) -> dict[str, tuple[str, str]]:
    """Patient → (diagnosis, cohort)."""
    for folder in (root, *root.parents[:2]):
        table = folder / "master.csv"
        if table.is_file():
            break
    else:
        raise InputError(
            f"{root}: master.csv with the patients' diagnoses is missing; put it beside the Patient_… folders."
        )
    with open(table, newline="", encoding="utf-8-sig") as text:
        rows = list(csv.DictReader(text))
    missing = {"Patient_ID", "Diagnosis"} - set(rows[0] if rows else ())
    if missing:
        raise InputError(f"{table} has no column {' or '.join(sorted(missing))}; use the table of the published set.")
    diagnoses = {row["Patient_ID"].strip(): (row["Diagnosis"].strip(), row.get("Cohort") or "") for row in rows}
    wrong = {diagnosis for diagnosis, _ in diagnoses.values()} - {"APL", "AML"}
    if wrong:
        raise InputError(f"{table}: the diagnosis {sorted(wrong)[0]!r} is neither APL nor AML; correct the row.")
    return diagnoses


LAYOUT = Layout(
    "deepapl",
    "DeepAPL (Sidhom et al. 2021)",
    "folders Patient_00/Signed slides/… and master.csv",
    lambda source: search(source, _here),
    _items,
)
