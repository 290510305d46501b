"""A reading room in a temporary folder, with drawn cells as the real ones and paler ones as the synthetic ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import DRAWN_TYPES, draw_cell

from syntheticcellgan.data.manifest import Manifest, read_manifest
from syntheticcellgan.review.database import Database, open_database
from syntheticcellgan.review.sessions import Settings, create_session


@dataclass(frozen=True)
class Cells:
    """Two data sets of 12 cells of each of three types: JPEG files of 140 px, PNG files of 128 px."""

    real: Manifest
    synthetic: Manifest


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Cells:
    folders = []
    for truth, side, ending, options in (
        ("real", 140, "jpg", {"quality": 80, "comment": b"DM96"}),
        ("synthetic", 128, "png", {}),
    ):
        root = tmp_path_factory.mktemp(truth)
        rng = np.random.default_rng(side)
        for name, (radius, nucleus) in DRAWN_TYPES.items():
            (root / name).mkdir()
            for i in range(12):
                draw_cell(radius, nucleus, rng, side).save(root / name / f"{name}-{truth}-{i:02d}.{ending}", **options)
        folders.append(read_manifest(root))
    return Cells(*folders)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "room.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def session_id(database: Database, cells: Cells) -> str:
    settings = Settings(real_per_type=3, synthetic_per_type=3, repeated=4)
    return create_session(database, "Drawn cells", cells.real, cells.synthetic, settings, seed=1)
