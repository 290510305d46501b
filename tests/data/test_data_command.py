from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from syntheticcellgan.commands.data import data
from syntheticcellgan.data.importers import LAYOUTS
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.sample import sample_folder
from syntheticcellgan.data.splits import read_split
from syntheticcellgan.errors import InputError, ScgError


def run(*arguments: object) -> str:
    result = CliRunner().invoke(data, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_check_writes_report_and_sheet(tmp_path: Path) -> None:
    output = run(
        "check", sample_folder(), "--json", tmp_path / "r.json", "--sheet", tmp_path / "s.png", "--per-type", 2
    )
    assert "eosinophil" in output
    assert json.loads((tmp_path / "r.json").read_text())["counts"]["eosinophil"] == 16
    assert Image.open(tmp_path / "s.png").size[1] == 10 * 128


def test_check_into_a_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScgError, match="cannot be written"):
        run("check", sample_folder(), "--json", tmp_path / "none" / "r.json")


def test_split_is_written_once(tmp_path: Path) -> None:
    output = run("split", sample_folder(), "--out", tmp_path / "split.json", "--seed", 7)
    assert "Split by image, seed 7" in output
    made = read_split(tmp_path / "split.json")
    assert made.seed == 7
    assert len(made.part(read_manifest(sample_folder()), "test")) == 30
    with pytest.raises(InputError, match="exists already"):
        run("split", sample_folder(), "--out", tmp_path / "split.json")


def test_split_says_which_type_is_missing_from_a_part(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    files = [sample_folder() / record.file for record in read_manifest(sample_folder()).records]
    for number, (name, patient) in enumerate([("a", 1), ("a", 2), ("a", 3), ("b", 1)]):
        (tmp_path / "set" / f"{number}.jpg").write_bytes(files[number].read_bytes())
        with open(tmp_path / "set" / "labels.csv", "a") as table:
            table.write(("file,cell_type,patient\n" if number == 0 else "") + f"{number}.jpg,{name},P{patient}\n")
    assert "No b in the" in run("split", tmp_path / "set", "--out", tmp_path / "split.json")


def test_import(tmp_path: Path) -> None:
    (tmp_path / "set" / "train").mkdir(parents=True)
    Image.new("RGB", (20, 20)).save(tmp_path / "set" / "train" / "a.png")
    (tmp_path / "set" / "train" / "broken.png").write_text("x")
    (tmp_path / "set" / "train" / "metadata.csv").write_text("file_name,label\na.png,Blast\nbroken.png,Blast\n")
    Image.new("RGB", (20, 20)).save(tmp_path / "set" / "logo.png")
    output = run("import", tmp_path / "set", "--out", tmp_path / "out")
    assert "1 images (huggingface)" in output
    assert "1 images cannot be read" in output
    assert "1 image files are not part of the layout" in output
    assert read_manifest(tmp_path / "out").counts == {"blast": 1}


def test_help_names_every_layout() -> None:
    output = run("import", "--help")
    assert all(name in output for name in LAYOUTS)


@pytest.mark.parametrize(("verb", "meant"), [("chek", "check"), ("imports", "import"), ("zzz", "check, import, split")])
def test_misspelt_verb(verb: str, meant: str) -> None:
    result = CliRunner().invoke(data, [verb])
    assert result.exit_code == 2
    assert meant in result.output


def test_misspelt_layout_and_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean deepapl"):
        run("import", sample_folder(), "--out", tmp_path / "out", "--layout", "deep-apl2")
    with pytest.raises(InputError, match="no such folder"):
        run("check", tmp_path / "none")


@pytest.mark.parametrize("option", [("--test", "1"), ("--validation", "-0.1")])
def test_bad_shares(tmp_path: Path, option: tuple[str, str]) -> None:
    with pytest.raises(InputError, match="sum below 1"):
        run("split", sample_folder(), "--out", tmp_path / "split.json", *option)
    assert not (tmp_path / "split.json").exists()


def test_manifests_and_types_need_no_torch() -> None:
    code = "import sys, syntheticcellgan.data.manifest, syntheticcellgan.commands.data; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
