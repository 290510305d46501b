"""Make the shipped sample of real cells: the first images of each type in the test part of the seed-0 split.

    python benchmarks/make_sample.py --data FOLDER [--out src/syntheticcellgan/sample]

FOLDER is the Barcelona set of normal blood cells as a data set of this package (`scg data import`). The files are
copied byte for byte; nothing is selected by its look.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.sample import sample_folder
from syntheticcellgan.data.splits import split_manifest

PER_TYPE = 16

ATTRIBUTION = """# The images in this folder

{total} images of single blood cells, {per_type} of each of {types} types, 256×256 pixels, JPEG. Real cells of healthy
donors, Hospital Clínic de Barcelona, May-Grünwald-Giemsa stain, CellaVision DM96. No donor is identified.

**Source.** Acevedo A. et al.: *A dataset for microscopic peripheral blood cell images for development of automatic
recognition systems*. Data in Brief 30:105474 (2020). Data: Mendeley Data, https://doi.org/10.17632/snkd93bnjr.1.

**Licence.** Creative Commons Attribution 4.0 International (CC BY 4.0), https://creativecommons.org/licenses/by/4.0/.
This licence is that of the images; the licence of the software does not apply to them.

**Changes.** The originals (360×363 pixels, JPEG) were cut without loss to 256×256 pixels around the cell; folders are
named after the cell types, and `labels.csv` was added.

**Selection.** `benchmarks/make_sample.py`: the data set is split with seed 0 and the default shares (5 % validation,
20 % test; SHA-256 of the file list `{fingerprint}`);
of each type, the first {per_type} files of the *test* part in order of their names. None was chosen by its look.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the Barcelona set as a data set folder")
    parser.add_argument("--out", type=Path, default=sample_folder(), help="made anew")
    arguments = parser.parse_args()
    manifest = read_manifest(arguments.data)
    split = split_manifest(manifest)
    test = split.part(manifest, "test")
    if arguments.out.exists():
        shutil.rmtree(arguments.out)
    rows = []
    for name in test.cell_types:
        (arguments.out / name).mkdir(parents=True)
        for record in sorted(test.of_type(name).records, key=lambda record: record.file)[:PER_TYPE]:
            file = f"{name}/{Path(record.file).name}"
            shutil.copyfile(test.path(record), arguments.out / file)
            rows.append((file, record.cell_type, record.subtype or ""))
    with open(arguments.out / "labels.csv", "w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(("file", "cell_type", "subtype"))
        writer.writerows(rows)
    text = ATTRIBUTION.format(
        total=len(rows), per_type=PER_TYPE, types=len(test.cell_types), fingerprint=split.fingerprint
    )
    (arguments.out / "ATTRIBUTION.md").write_text(text, encoding="utf-8")
    print(f"{len(rows)} images in {arguments.out}")


if __name__ == "__main__":
    main()
