"""DICOM: one VL Microscopic Image (PS3.3 A.32.2) per cell, uncompressed RGB, one series per cell type.

Synthetic Data (0008,001C) says YES for images that carry our record and NO for others; a synthetic image has no patient and
no specimen, and its Image Comments hold the record from which it can be made again. Identifiers follow from the
images, so that a second export gives the same files.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, VLMicroscopicImageStorage

from syntheticcellgan import __version__
from syntheticcellgan.cell_types import resolve
from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.exports.common import About, ImageFile, image_files

SYNTHETIC_DATA = 0x0008001C  # newer than the dictionaries of pydicom 2


def write(manifest: Manifest, folder: Path, about: About, progress: Callable[[int], None] | None = None) -> str:
    """Fill `folder` with one .dcm per image; returns a sentence on what was written."""
    numbers: dict[str, int] = {}
    synthetic = 0
    for file in image_files(manifest, progress):
        name = file.record.cell_type
        numbers[name] = numbers.get(name, 0) + 1
        path = (folder / file.name).with_suffix(".dcm")
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(file, about, manifest.cell_types.index(name) + 1, numbers[name], path)
        synthetic += file.provenance is not None
    return f"{synthetic:,} of {len(manifest):,} say Synthetic Data (0008,001C) = YES."


def _write(file: ImageFile, about: About, series: int, number: int, path: Path) -> None:
    pixels, made = file.pixels(), file.provenance
    patient = "SYNTHETIC" if made else (file.record.patient or "")
    study = _uid("study", about.name, patient)
    d = Dataset()
    d.SpecificCharacterSet = "ISO_IR 192"
    d.SOPClassUID = VLMicroscopicImageStorage
    # The same cell in two places of a set is two instances.
    d.SOPInstanceUID = _uid("instance", about.name, file.record.file, hashlib.sha256(pixels.tobytes()).hexdigest())
    d.add_new(SYNTHETIC_DATA, "CS", "YES" if made else "NO")
    d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = ("Synthetic^Cell" if made else ""), patient, "", ""
    d.StudyInstanceUID, d.StudyID = study, "1"
    d.StudyDate = d.StudyTime = d.ReferringPhysicianName = d.AccessionNumber = ""
    d.Modality, d.SeriesInstanceUID, d.SeriesNumber = "GM", _uid("series", study, file.record.cell_type), str(series)
    d.SeriesDescription = resolve(file.record.cell_type).title[:64]
    d.Manufacturer = "SyntheticCellGAN" if made else ""
    if made:
        d.ManufacturerModelName, d.SoftwareVersions = made.bundle[:64], made.software.split()[-1][:64] or __version__
        d.ImageComments = made.json
        d.Laterality = ""  # must stand where there is no specimen, and only there
    d.InstanceNumber = str(number)
    d.ImageType = ["DERIVED", "PRIMARY"] if made else ["ORIGINAL", "PRIMARY"]
    d.PatientOrientation = ""
    d.LossyImageCompression = "01" if file.suffix == "jpg" else "00"
    if file.suffix == "jpg":
        d.LossyImageCompressionRatio = f"{pixels.size / len(file.content):.2f}"
        d.LossyImageCompressionMethod = "ISO_10918_1"
    d.BurnedInAnnotation = "NO"
    d.AcquisitionContextSequence = Sequence()
    if not made:
        specimen = Dataset()
        specimen.SpecimenIdentifier, specimen.SpecimenUID = "unknown", _uid("specimen", about.name, patient)
        specimen.IssuerOfTheSpecimenIdentifierSequence = Sequence()
        specimen.SpecimenPreparationSequence = Sequence()
        d.ContainerIdentifier = "unknown"
        d.IssuerOfTheContainerIdentifierSequence = Sequence()
        d.ContainerTypeCodeSequence = Sequence()
        d.SpecimenDescriptionSequence = Sequence([specimen])
    d.SamplesPerPixel, d.PhotometricInterpretation, d.PlanarConfiguration = 3, "RGB", 0
    d.Rows, d.Columns = pixels.shape[:2]
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 8, 8, 7, 0
    content = pixels.tobytes()
    d.PixelData = content + b"\0" * (len(content) % 2)
    d["PixelData"].VR = "OB"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = d.SOPClassUID, d.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.file_meta = meta
    d.save_as(path, enforce_file_format=True)


def _uid(*parts: str) -> str:
    """An identifier under 2.25 (PS3.5 B.2) that always belongs to the same thing."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, chr(10).join(parts)).int}"
