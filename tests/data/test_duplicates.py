from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from syntheticcellgan.data.duplicates import NEAR, SIDE, connected, duplicate_groups, near_pairs, thumbnails
from syntheticcellgan.data.images import read_image
from syntheticcellgan.data.manifest import Manifest, read_manifest
from syntheticcellgan.data.sample import sample_folder


@pytest.fixture(scope="module")
def sample() -> Manifest:
    return read_manifest(sample_folder())


@pytest.fixture(scope="module")
def cell(sample: Manifest) -> np.ndarray:
    return read_image(sample.path(sample.records[0]))


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


CHANGES = {
    "re-encoded": lambda image: jpeg(image, 50),
    "halved": lambda image: np.asarray(Image.fromarray(image).resize((128, 128))),
    "brightened": lambda image: np.clip(image * 1.08 + 5, 0, 255).astype(np.uint8),
    "cropped": lambda image: image[3:-3, 3:-3],
    "shifted": lambda image: np.roll(image, (2, 2), (0, 1)),
    "grey": lambda image: np.asarray(Image.fromarray(image).convert("L")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found(tmp_path: Path, cell: np.ndarray, change: str) -> None:
    Image.fromarray(cell).save(tmp_path / "a.png")
    Image.fromarray(CHANGES[change](cell)).save(tmp_path / "b.png")
    thumbs = thumbnails([tmp_path / "a.png", tmp_path / "b.png"])
    assert [pair[:2] for pair in near_pairs(thumbs)] == [(0, 1)]


def test_different_cells_are_not(sample: Manifest) -> None:
    thumbs = thumbnails(sample.path(record) for record in sample.records)
    pairs = list(near_pairs(thumbs, threshold=0.5))
    assert pairs, "the threshold of this test is too high to tell anything"
    assert max(correlation for _, _, correlation in pairs) < NEAR
    assert len(set(duplicate_groups(sample.path(record) for record in sample.records))) == len(sample)


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_turned_copies_are_found_on_request(tmp_path: Path, cell: np.ndarray, turns: int, mirrored: bool) -> None:
    Image.fromarray(cell).save(tmp_path / "a.png")
    Image.fromarray(np.rot90(cell[:, ::-1] if mirrored else cell, turns)).save(tmp_path / "b.png")
    thumbs = thumbnails([tmp_path / "a.png", tmp_path / "b.png"])
    assert list(near_pairs(thumbs)) == []
    ((i, j, correlation),) = near_pairs(thumbs, turned=True)
    assert (i, j) == (0, 1)
    assert correlation > 0.999


def test_pairs_across_blocks_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syntheticcellgan.data.duplicates._BLOCK", 4)
    thumbs = np.random.default_rng(0).integers(0, 256, (11, SIDE, SIDE)).astype(np.uint8)
    thumbs[9] = thumbs[1]
    thumbs[3] = thumbs[2]
    assert sorted((i, j) for i, j, _ in near_pairs(thumbs)) == [(1, 9), (2, 3)]


def test_blank_images_are_nobodys_duplicates() -> None:
    assert list(near_pairs(np.full((3, SIDE, SIDE), 200, np.uint8))) == []
    assert list(near_pairs(np.zeros((0, SIDE, SIDE), np.uint8))) == []


def test_components_are_numbered_by_first_appearance() -> None:
    assert connected(6, [(4, 1), (1, 5), (0, 3)]).tolist() == [0, 1, 2, 0, 1, 1]
    assert connected(3, []).tolist() == [0, 1, 2]
