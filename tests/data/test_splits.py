from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntheticcellgan.data.balance import balance
from syntheticcellgan.data.manifest import Manifest, Record, read_manifest
from syntheticcellgan.data.sample import sample_folder
from syntheticcellgan.data.splits import PARTS, Split, read_split, split_manifest, write_split
from syntheticcellgan.errors import InputError, ScgError


def images(counts: dict[str, int], patients: Sequence[str | None] = (None,)) -> Manifest:
    """Records without files; patients are dealt out in turn."""
    names = [(name, number) for name, count in counts.items() for number in range(count)]
    return Manifest(
        Path("nowhere"),
        tuple(
            Record(f"{name}/{number}.png", name, patients[place % len(patients)])
            for place, (name, number) in enumerate(names)
        ),
    )


def split(manifest: Manifest, **options: object) -> Split:
    options.setdefault("groups", range(len(manifest)))
    return split_manifest(manifest, **options)  # type: ignore[arg-type]


def test_shares_hold_for_every_type() -> None:
    manifest = images({"a": 1000, "b": 40, "c": 7, "d": 3, "e": 2, "f": 1})
    made = split(manifest)
    counts = {part: made.part(manifest, part).counts for part in PARTS}
    assert counts["test"] == {"a": 200, "b": 8, "c": 1, "d": 1}
    assert counts["validation"] == {"a": 50, "b": 2, "c": 1, "d": 1}
    assert counts["train"] == {"a": 750, "b": 30, "c": 5, "d": 1, "e": 2, "f": 1}
    assert made.unit == "image"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12), st.integers(0, 5)), min_size=1, max_size=60),
    st.integers(0, 3),
)
def test_every_file_is_in_one_part_and_units_stay_whole(rows: list[tuple[str, int, int]], seed: int) -> None:
    records = tuple(
        Record(f"{name}/{number}.png", name, f"P{patient}" if patient else None)
        for number, (name, _, patient) in enumerate(rows)
    )
    if 0 < len({record.patient for record in records} - {None}) < 3:
        return
    made = split(Manifest(Path("nowhere"), records), seed=seed, groups=[group for _, group, _ in rows])
    where = {file: part for part in PARTS for file in getattr(made, part)}
    assert sorted(where) == sorted(record.file for record in records)
    assert sum(len(getattr(made, part)) for part in PARTS) == len(records)
    for unit in ([record.patient for record in records], [group for _, group, _ in rows]):
        for value in set(unit) - {None}:
            assert len({where[record.file] for record, own in zip(records, unit, strict=True) if own == value}) == 1


def test_patients_stay_whole_and_types_balanced() -> None:
    rng = random.Random(0)
    sizes = [rng.randint(1, 40) for _ in range(60)]
    records = tuple(
        Record(f"{name}/{patient}-{number}.png", name, f"P{patient}")
        for patient, size in enumerate(sizes)
        for number in range(size)
        for name in [rng.choice("aabbbc")]
    )
    manifest = Manifest(Path("nowhere"), records)
    made = split(manifest)
    assert made.unit == "patient"
    owners = {part: {record.patient for record in made.part(manifest, part).records} for part in PARTS}
    assert owners["train"].isdisjoint(owners["test"] | owners["validation"])
    assert owners["test"].isdisjoint(owners["validation"])
    for name, count in manifest.counts.items():
        assert made.part(manifest, "test").counts[name] / count == pytest.approx(0.20, abs=0.03)
        assert made.part(manifest, "validation").counts[name] / count == pytest.approx(0.05, abs=0.03)


def test_few_patients() -> None:
    made = split(images({"a": 30}, ["P1", "P2", "P3"]))
    assert all(getattr(made, part) for part in PARTS)
    with pytest.raises(InputError, match=r"2 patient\(s\)"):
        split(images({"a": 30}, ["P1", "P2"]))
    assert len(split(images({"a": 30}, ["P1", "P2"]), validation=0).train) == 15


def test_groups_that_chain_through_patients() -> None:
    records = tuple(Record(f"a/{number}.png", "a", f"P{number // 2}") for number in range(20))
    groups = [0 if number in (1, 2) else number + 100 for number in range(20)]
    made = split(Manifest(Path("nowhere"), records), groups=groups)
    parts = {file: part for part in PARTS for file in getattr(made, part)}
    assert len({parts[f"a/{number}.png"] for number in range(4)}) == 1


def test_only_names_seed_and_units_decide() -> None:
    manifest = images({"a": 200, "b": 100})
    made = split(manifest, seed=5)
    shuffled = list(range(300))
    random.Random(1).shuffle(shuffled)
    assert split(manifest.select(shuffled), seed=5) == made
    assert split(manifest, seed=6).test != made.test


def test_one_more_image_moves_at_most_one_other() -> None:
    before, after = split(images({"a": 300})), split(images({"a": 301}))
    assert len(set(before.test) - set(after.test)) <= 1


def test_the_split_is_the_same_everywhere() -> None:
    """Golden value: the same files on every platform and in every version."""
    made = split_manifest(read_manifest(sample_folder()))
    assert [len(getattr(made, part)) for part in PARTS] == [120, 10, 30]
    assert made.test[:3] == ("basophil/BA_115323.jpg", "basophil/BA_141630.jpg", "basophil/BA_152708.jpg")


def test_near_duplicates_are_found_without_being_told(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "a").mkdir()
    rng = np.random.default_rng(0)
    for number in range(20):
        image = Image.fromarray(np.kron(rng.integers(0, 256, (16, 16, 3)), np.ones((4, 4, 1))).astype(np.uint8))
        image.save(tmp_path / "a" / f"{number:02d}.png")
        image.save(tmp_path / "a" / f"{number:02d} again.jpg", quality=80)
    made = split_manifest(read_manifest(tmp_path))
    assert len(made.test) == 8
    for part in PARTS:
        stems = [file.split(".")[0].removesuffix(" again") for file in getattr(made, part)]
        assert all(stems.count(stem) == 2 for stem in stems)


@pytest.mark.parametrize("shares", [(-0.1, 0.2), (0.5, 0.5), (0.05, 1.0), (float("nan"), 0.2)])
def test_bad_shares(shares: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="must be 0 or more"):
        split(images({"a": 10}), validation=shares[0], test=shares[1])


def test_wrong_number_of_groups_and_no_images() -> None:
    with pytest.raises(InputError, match="2 group labels for 10 images"):
        split(images({"a": 10}), groups=[1, 2])
    with pytest.raises(InputError, match="no images"):
        split(images({}))


def test_part_of_a_selection_and_of_a_changed_folder() -> None:
    manifest = images({"a": 20, "b": 20})
    made = split(manifest)
    assert made.part(manifest.of_type("a"), "test").counts == {"a": 4}
    with pytest.raises(InputError, match="is in no part of the split"):
        made.part(images({"a": 21}), "train")
    with pytest.raises(InputError, match="no part 'dev'"):
        made.part(manifest, "dev")


def test_written_and_read_back(tmp_path: Path) -> None:
    made = split(images({"é ü": 20}, ["P1", "P2", "P3", "P4"]), seed=3)
    write_split(made, tmp_path / "split.json")
    assert read_split(tmp_path / "split.json") == made
    assert [path.name for path in tmp_path.iterdir()] == ["split.json"]


def test_unwritable(tmp_path: Path) -> None:
    with pytest.raises(ScgError, match="cannot be written"):
        write_split(split(images({"a": 4})), tmp_path / "none" / "split.json")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda content: content.update(seed="0"), "seed or unit"),
        (lambda content: content.update(unit="slide"), "seed or unit"),
        (lambda content: content.update(format=99), "this version"),
        (lambda content: content.pop("test"), "this version"),
        (lambda content: content.update(more=1), "this version"),
        (lambda content: content["train"].append("a/new.png"), "was changed"),
        (lambda content: content["train"].append(content["test"][0]), "two parts"),
        (lambda content: content.update(test="a/1.png"), "not lists"),
        (lambda content: content.update(test=[1]), "not lists"),
    ],
)
def test_damaged_split(tmp_path: Path, change, complaint: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "split.json"
    write_split(split(images({"a": 20})), path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=complaint) as caught:
        read_split(path)
    assert "split.json" in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "not json", "null"])
def test_no_split(tmp_path: Path, text: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(InputError, match=r"split\.json is not a split"):
        read_split(tmp_path / "split.json")
    with pytest.raises(InputError, match="no such file"):
        read_split(tmp_path / "none.json")


def test_balance_finds_the_exact_division() -> None:
    amounts = np.array([[10, 0], [0, 10], [6, 4], [4, 6], [5, 5], [5, 5]])
    aims = np.array([[20, 20], [10, 10]])
    parts = balance(amounts, aims)
    got = np.array([amounts[parts == part].sum(0) for part in (0, 1)])
    assert (got == aims).all()


def test_balance_without_units() -> None:
    assert balance(np.zeros((0, 2)), np.array([[1, 1]])).shape == (0,)
