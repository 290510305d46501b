"""`scg evaluate` from folders to report.json and metrics.csv, on drawn cells and a network of no weight."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.evaluation.drawn_study import LEAST, Blocks, draw_set

from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.splits import Split, write_split
from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation import study as studies
from syntheticcellgan.evaluation.context import Settings
from syntheticcellgan.evaluation.report.rows import COLUMNS
from syntheticcellgan.evaluation.report.store import read_report
from syntheticcellgan.evaluation.study import evaluate

ALL = Settings(count=34, quick=True, utility=LEAST)
SOME = Settings(count=34, quick=True, sections=("distribution", "copies", "morphology", "probe"))
LITTLE = Settings(count=34, quick=True, sections=("distribution", "probe"))


@pytest.fixture(autouse=True)
def _blocks(monkeypatch):
    """The named networks are tested elsewhere."""
    Blocks.seen = 0
    monkeypatch.setattr(studies, "HEADLINE", ("vit-s-focus",))
    monkeypatch.setattr(studies, "get_extractor", lambda name, path=None: Blocks())


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("sets")
    return {name: draw_set(root / name, seed) for seed, name in enumerate(("real", "synthetic", "train"))}


def test_everything_is_measured_and_written(sets, tmp_path):
    table = tmp_path / "attributes.csv"
    rows = [(f"train-{i:02d}.png", "round" if i % 2 else "oval") for i in range(34)]
    table.write_text("img_name,shape\n" + "".join(f"{name},{value}\n" for name, value in rows))
    report = evaluate(
        sets["real"],
        sets["synthetic"],
        train=sets["train"],
        laboratories={"elsewhere": sets["train"]},
        attributes=table,
        settings=ALL,
        out=tmp_path / "report",
        cache=tmp_path / "cache",
    )
    assert all(part.rows or part.details for part in report.sections.values())
    assert {path.name for path in (tmp_path / "report").iterdir()} >= {"report.json", "metrics.csv"}
    again = read_report(tmp_path / "report")
    assert again.rows == report.rows
    lines = list(csv.DictReader(io.StringIO((tmp_path / "report" / "metrics.csv").read_text())))
    assert tuple(lines[0]) == COLUMNS
    assert len(lines) == len(report.rows)
    # Every figure has its n; all but a median have an interval; all have something to be compared with.
    assert all(row.n > 0 for row in report.rows)
    assert all(row.low is not None for row in report.rows if not row.measure.startswith("median"))
    assert all(row.floor is not None for row in report.rows)
    assert report.row("balanced_accuracy", by="small network", detail="real → elsewhere").n == 102
    assert report.row("frechet_distance").ratio_low < 1  # the same drawing on both sides
    assert {verdict["use"] for verdict in report.verdicts} == {"augmentation", "teaching", "replacement", "sharing"}
    text = (tmp_path / "report" / "report.json").read_text()
    assert str(tmp_path) not in text  # no path of the machine


def test_without_training_images_the_real_ones_are_halved(sets, tmp_path):
    settings = Settings(count=17, quick=True, utility=LEAST, sections=("distribution", "copies", "utility"))
    report = evaluate(sets["real"], sets["synthetic"], settings=settings)
    assert report.row("frechet_distance").n == 51
    assert report.row("balanced_accuracy", by="small network", detail="real → held-out real").n == 51
    assert "copies" in report.sections["copies"].refused
    assert any(warning["kind"] == "training" for warning in report.warnings)


def test_a_split_keeps_training_images_out_of_the_comparison(sets, tmp_path):
    both = tmp_path / "both"
    for name in ("real", "train"):
        shutil.copytree(sets[name], both, dirs_exist_ok=True)
    files = [record.file for record in read_manifest(both).records]
    split = Split(
        tuple(f for f in files if "train-" in f), (), tuple(f for f in files if "real-" in f), seed=0, unit="image"
    )
    write_split(split, tmp_path / "split.json")
    by_split = evaluate(both, sets["synthetic"], split=tmp_path / "split.json", settings=LITTLE)
    by_folder = evaluate(sets["real"], sets["synthetic"], train=sets["train"], settings=LITTLE)
    assert by_split.row("frechet_distance").n == by_folder.row("frechet_distance").n == 102
    assert by_split.content["inputs"]["training_images"] == 102
    with pytest.raises(InputError, match="leave --train out"):
        evaluate(both, sets["synthetic"], split=tmp_path / "split.json", train=sets["train"], settings=LITTLE)


def test_an_interrupted_run_goes_on_and_finds_the_same(sets, tmp_path):
    def interrupt(what: str, done: int, total: int) -> None:
        if what == "probe":
            raise KeyboardInterrupt

    where = {"out": tmp_path / "report", "train": sets["train"]}
    with pytest.raises(KeyboardInterrupt):
        evaluate(sets["real"], sets["synthetic"], settings=SOME, progress=interrupt, **where)
    assert not (tmp_path / "report" / "report.json").exists()
    Blocks.seen, said = 0, set()
    report = evaluate(
        sets["real"], sets["synthetic"], settings=SOME, progress=lambda what, done, total: said.add(what), **where
    )
    assert Blocks.seen == 0
    assert not said & {"distribution", "morphology", "copies"}
    undisturbed = evaluate(sets["real"], sets["synthetic"], settings=SOME, train=sets["train"])
    assert undisturbed.rows == report.rows


def test_a_training_network_never_judges(sets):
    with pytest.raises(InputError, match="used in training"):
        evaluate(
            sets["real"],
            sets["synthetic"],
            extractors=["vit-s-focus"],
            trained_with=["vit-s-focus-last"],
            settings=LITTLE,
        )
    with pytest.raises(InputError, match="name another network"):
        evaluate(sets["real"], sets["synthetic"], trained_with=["vit-s-focus"], settings=LITTLE)


def test_too_few_images(sets, tmp_path):
    few = draw_set(tmp_path / "few", 9, count=5)
    with pytest.raises(InputError, match=r"has 102 and .*few 15 images .* at least 60 real .* 30 synthetic"):
        evaluate(sets["real"], few, settings=LITTLE)
    with pytest.raises(InputError, match="at least 30 real and 30 synthetic"):
        evaluate(few, sets["synthetic"], train=sets["train"], settings=LITTLE)


def test_types_on_one_side_only(sets, tmp_path):
    two = draw_set(tmp_path / "two", 9, types=("lymphocyte", "monocyte"))
    report = evaluate(sets["real"], two, train=sets["train"], settings=LITTLE)
    assert report.content["inputs"]["types"] == ["lymphocyte", "monocyte"]
    assert any("real images of platelet and no synthetic" in warning["sentence"] for warning in report.warnings)
    other = tmp_path / "other"
    shutil.copytree(two / "monocyte", other / "basophil")
    with pytest.raises(InputError, match="no cell type in common"):
        evaluate(sets["real"], other, settings=LITTLE)


def test_differing_sizes_are_measured_and_said(sets, tmp_path):
    larger = draw_set(tmp_path / "larger", 9, side=96)
    settings = Settings(count=34, quick=True, sections=("distribution", "morphology"))
    report = evaluate(sets["real"], larger, train=sets["train"], settings=settings)
    assert any("64 pixels a side, synthetic ones 96" in warning["sentence"] for warning in report.warnings)
    assert report.row("cell_area", "lymphocyte").n_synthetic > 20


def test_grey_against_colour_is_refused(sets, tmp_path):
    grey = tmp_path / "grey"
    for path in sets["synthetic"].glob("*/*.png"):
        (grey / path.parent.name).mkdir(parents=True, exist_ok=True)
        Image.open(path).convert("L").save(grey / path.parent.name / path.name)
    with pytest.raises(InputError, match=r"synthetic images .* are grey"):
        evaluate(sets["real"], grey, settings=LITTLE)


def test_not_a_number_is_refused_with_the_file_or_network(sets, tmp_path, monkeypatch):
    broken = tmp_path / "broken"
    shutil.copytree(sets["synthetic"], broken)
    Image.fromarray(np.full((64, 64), np.nan, np.float32)).save(broken / "platelet" / "nan.tif")
    with pytest.raises(InputError, match=r"nan\.tif has floating-point pixels"):
        evaluate(sets["real"], broken, settings=Settings(count=40, sections=("probe",)))

    class Broken(Blocks):
        def __call__(self, images: np.ndarray) -> np.ndarray:
            return super().__call__(images) * np.nan

    monkeypatch.setattr(studies, "get_extractor", lambda name, path=None: Broken())
    with pytest.raises(Exception, match="not finite"):
        evaluate(sets["real"], sets["synthetic"], settings=LITTLE)


def test_a_folder_with_other_files_is_left_alone(sets, tmp_path):
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(InputError, match=r"holds other files \(thesis.docx\)"):
        evaluate(sets["real"], sets["synthetic"], settings=LITTLE, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.docx"]


def test_the_report_of_another_evaluation_is_not_overwritten(sets, tmp_path):
    evaluate(sets["real"], sets["synthetic"], settings=LITTLE, out=tmp_path / "report", cache=tmp_path / "cache")
    before = (tmp_path / "report" / "report.json").read_bytes()
    with pytest.raises(InputError, match="report of another evaluation"):
        evaluate(sets["real"], sets["train"], settings=LITTLE, out=tmp_path / "report", cache=tmp_path / "cache")
    assert (tmp_path / "report" / "report.json").read_bytes() == before


def test_the_same_folder_twice(sets):
    with pytest.raises(InputError, match="given as synthetic and as real"):
        evaluate(sets["real"], sets["real"], settings=LITTLE)
    with pytest.raises(InputError, match="given as real and as training"):
        evaluate(sets["real"], sets["synthetic"], train=sets["real"], settings=LITTLE)


def test_held_out_images_that_were_trained_on_are_noticed(sets, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(sets["train"], mixed)
    for path in list(sets["real"].glob("monocyte/*.png"))[:9]:
        shutil.copy(path, mixed / "monocyte" / path.name)
    with pytest.raises(InputError, match=r"9 of 102 real images .* cannot judge"):
        evaluate(sets["real"], sets["synthetic"], train=mixed, settings=LITTLE)


def test_damaged_reports_are_refused(tmp_path):
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(InputError, match="no report"):
        read_report(tmp_path)
    (tmp_path / "report.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(InputError, match="not a report"):
        read_report(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_report(tmp_path / "nothing")
