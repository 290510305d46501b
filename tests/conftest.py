"""Shared by all tests: one thread (small networks are faster so), one seed, and a tiny data set of drawn cells."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.drawing import draw_cell as draw_cell
from tests.taught import labelled as labelled
from tests.taught import taught as taught
from tests.taught import untaught as untaught

torch.set_num_threads(1)

DRAWN_TYPES = {"lymphocyte": (90, 40), "monocyte": (110, 70), "platelet": (30, 8)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a browser first: they take longest, and the workers shall end together."""
    items.sort(key=lambda item: "browser" not in item.path.name)


def seed() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """What a test draws without a seed of its own is the same at every run, alone or after any other test."""
    seed()


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup() -> None:
    """The same for what fixtures draw, of which those of a module are made by whichever test comes first."""
    seed()


@pytest.fixture(scope="session")
def drawn_cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder data set of three types with 16 drawn cells each."""
    root = tmp_path_factory.mktemp("drawn cells")
    rng = np.random.default_rng(0)
    for name, (radius, nucleus) in DRAWN_TYPES.items():
        (root / name).mkdir()
        for i in range(16):
            draw_cell(radius, nucleus, rng).save(root / name / f"{name} {i:02d}.png")
    return root
