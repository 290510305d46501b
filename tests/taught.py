"""A tiny bundle with an encoder, and drawn cells that it knows attributes of."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import syntheticcellgan.attributes.fitting as fitting
from syntheticcellgan.attributes.fitting import fit_attributes
from syntheticcellgan.attributes.labels import labelled_cells
from syntheticcellgan.bundle import load_bundle
from syntheticcellgan.bundle_training import training_networks
from syntheticcellgan.bundle_writing import add_attributes, write_bundle
from syntheticcellgan.config import ChainConfig, GeneratorConfig, TranslatorConfig
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.evaluation.copies import Fingerprints
from syntheticcellgan.evaluation.fingerprint import fingerprint
from syntheticcellgan.networks.generator import LowResolutionGenerator
from syntheticcellgan.networks.translator import Translator
from tests.drawing import draw_cell

TYPES = ("lymphocyte", "monocyte", "platelet")
TRAINED = 70  # of each type's 90 cells


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 drawn cells each of two types; labels.csv says whether the nucleus is large, whether the image is dark, and more."""
    root = tmp_path_factory.mktemp("labelled")
    rng = np.random.default_rng(1)
    with open(root / "labels.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "cell_type", "Nucleus Size", "dark", "number"])
        for name, radius in (("lymphocyte", 80), ("monocyte", 105)):
            (root / name).mkdir()
            for i in range(90):
                large, dark = i % 2, i % 3 == 0 and name == "monocyte"
                picture = np.asarray(draw_cell(radius, 62 if large else 34, rng), np.int16) + (-60 if dark else 0)
                file_name = f"{name}/{i:03d}.png"
                Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(root / file_name)
                table.writerow([file_name, name, "large" if large else "small", "yes" if dark else "no", 1000 + i])
    return root


@pytest.fixture(scope="session")
def untaught(tmp_path_factory: pytest.TempPathFactory, labelled: Path) -> Path:
    """A bundle's folder: untrained networks, fingerprints of the first 70 cells of each labelled type."""
    folder = tmp_path_factory.mktemp("b") / "tiny"
    chain = ChainConfig(
        TYPES, GeneratorConfig(resolution=32, width=16, latent_size=8), TranslatorConfig(scale=4, width=8, blocks=1)
    )
    paths = [labelled / name / f"{i:03d}.png" for name in TYPES[:2] for i in range(TRAINED)]
    networks = LowResolutionGenerator(chain), Translator(chain)
    prints = Fingerprints(fingerprint(paths), np.zeros(0, np.float32), 0).to_bytes()
    card = {"name": "tiny"}
    write_bundle(folder, chain, *networks, card, Image.new("RGB", (8, 8)), prints, training_networks(chain))
    return folder


@pytest.fixture(scope="session")
def taught(untaught: Path, labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same bundle, with attributes."""
    folder = tmp_path_factory.mktemp("t") / "taught"
    shutil.copytree(untaught, folder)
    bundle, manifest = load_bundle(folder), read_manifest(labelled)
    own = np.array([int(Path(record.file).stem) < TRAINED for record in manifest.records])
    cells = labelled_cells(manifest, bundle.chain.cell_types, own, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "SEGMENTED", 20)  # it takes most of the time
        patch.setattr(fitting, "MINIMUM", 40)
        add_attributes(folder, fit_attributes(bundle, cells, "labels", "CC0", epochs=30).attributes)
    return folder
