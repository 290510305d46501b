from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from syntheticcellgan.data.checks import check
from syntheticcellgan.data.duplicates import duplicate_groups, thumbnails
from syntheticcellgan.data.images import read_image
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.overlaps import NEAR, SIDE, overlaps
from syntheticcellgan.data.sample import sample_folder


@pytest.fixture(scope="module")
def cells() -> list[np.ndarray]:
    sample = read_manifest(sample_folder())
    return [read_image(sample.path(record)) for record in sample.records[::5]]


@pytest.mark.parametrize(("down", "right"), [(0, 12), (36, 12), (12, 48), (60, 0)])
def test_parts_of_one_field_are_found_and_no_others(
    tmp_path: Path, cells: list[np.ndarray], down: int, right: int
) -> None:
    side = 256 - max(down, right)
    files = []
    for number, cell in enumerate(cells):
        for top, left in ((0, 0), (down, right)):
            files.append(tmp_path / f"{number} {top} {left}.jpg")
            Image.fromarray(cell[top : top + side, left : left + side]).save(files[-1], quality=85)
    found = {(i, j) for i, j, _ in overlaps(thumbnails(files))}
    expected = {(i, i + 1) for i in range(0, len(files), 2)}
    assert found <= expected
    assert len(found) >= 0.85 * len(expected)
    groups = duplicate_groups(files)
    assert all(groups[i] == groups[j] for i, j in found)


def test_different_cells_do_not_overlap() -> None:
    sample = read_manifest(sample_folder())
    thumbs = thumbnails(sample.path(record) for record in sample.records)
    alike = [correlation for _, _, correlation in overlaps(thumbs, threshold=0.3)]
    assert alike, "the threshold of this test is too high to tell anything"
    assert max(alike) < NEAR


def test_nothing_overlaps_where_there_is_nothing() -> None:
    assert list(overlaps(np.zeros((0, SIDE, SIDE), np.uint8))) == []
    assert list(overlaps(np.full((5, SIDE, SIDE), 200, np.uint8))) == []


def test_the_check_names_them_but_sees_no_contradiction(tmp_path: Path, cells: list[np.ndarray]) -> None:
    for number, cell in enumerate(cells[:12]):
        for name in ("monocyte", "basophil"):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(cells[-1 - number] if name == "basophil" else cell).save(tmp_path / name / f"{number}.png")
    Image.fromarray(cells[0][:220, :220]).save(tmp_path / "monocyte" / "0.png")
    Image.fromarray(cells[0][36:, 36:]).save(tmp_path / "basophil" / "beside.png")
    report = check(tmp_path)
    assert [set(group) for group in report.overlapping] == [{"monocyte/0.png", "basophil/beside.png"}]
    assert report.contradictions == ()
    assert any("overlap" in warning for warning in report.warnings)
