from __future__ import annotations

from pathlib import Path

from syntheticcellgan.data.images import read_image
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.sample import sample_folder


def test_sample_is_ten_types_of_sixteen() -> None:
    manifest = read_manifest(sample_folder())
    assert len(manifest.counts) == 10
    assert set(manifest.counts.values()) == {16}
    assert all(record.patient is None for record in manifest.records)
    assert {record.subtype for record in manifest.of_type("neutrophil").records} <= {"band", "segmented"}
    assert {read_image(manifest.path(record)).shape for record in manifest.records} == {(256, 256, 3)}


def test_sample_is_small_and_says_whose_it_is() -> None:
    files = [path for path in sample_folder().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2.5e6
    text = (Path(sample_folder()) / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for word in ("CC BY 4.0", "Acevedo", "10.17632/snkd93bnjr.1", "seed 0", "Changes"):
        assert word in text
