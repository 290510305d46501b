"""`scg stain` and `scg generate --style`: what is printed, what is written, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.stain.smears import HOME, LAMP, abroad, home, save

from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.cli import main
from syntheticcellgan.data.images import read_image
from syntheticcellgan.data.sample import sample_folder
from syntheticcellgan.provenance import read_provenance
from syntheticcellgan.stain.look import fit, read_look


def run(*arguments: str | Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return int(code or 0), captured.out + captured.err


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("laboratories")
    images = [home(seed) for seed in range(40)]
    return save(images[:20], root / "home"), save([abroad(image) for image in images], root / "elsewhere")


def test_fit_apply_check(folders, tmp_path, capsys) -> None:
    at_home, elsewhere = folders
    code, text = run("stain", "fit", at_home, "--out", tmp_path / "home.json", capsys=capsys)
    assert code == 0, text
    assert "20 of 20 images" in text

    code, text = run("stain", "check", tmp_path / "home.json", elsewhere, "--out", tmp_path / "page", capsys=capsys)
    assert code == 0, text
    assert "have another look than home" in text
    saved = json.loads((tmp_path / "page" / "check.json").read_text())
    before, after = (saved[key]["differences"]["background"] for key in ("as_they_are", "standardised"))
    assert before["low"] > 10 > 3 > after["value"]
    page = (tmp_path / "page" / "check.html").read_text()
    assert page.count("<img") == 2  # as they are and standardised; the look's file brings no pictures
    assert "http" not in page.replace("http://www.w3.org", "")

    out = tmp_path / "standardised"
    arguments = ("stain", "apply", elsewhere, "--to", tmp_path / "home.json", "--out", out)
    code, text = run(*arguments, capsys=capsys)
    assert code == 0, text
    assert sorted(p.name for p in out.glob("*.png")) == sorted(p.name for p in elsewhere.iterdir())
    corner = read_image(out / "cell 00.png")[[0, -1, 0, -1], [64, 64, 0, -1]]
    assert np.median(corner, axis=0) == pytest.approx(HOME, abs=8)

    kept = (out / "cell 01.png").stat().st_mtime_ns
    (out / "cell 02.png").unlink()
    assert run(*arguments, capsys=capsys)[0] == 0
    assert (out / "cell 02.png").exists()
    assert (out / "cell 01.png").stat().st_mtime_ns == kept

    code, text = run("stain", "check", tmp_path / "home.json", out, capsys=capsys)
    assert "another look" not in text


def test_labels_go_along_and_damaged_files_are_named_after_the_rest_is_done(folders, tmp_path, capsys) -> None:
    data = tmp_path / "data"
    shutil.copytree(folders[1], data)
    (data / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    names = sorted(p.name for p in data.iterdir())
    table = "file,cell_type\n" + "".join(f"{name},monocyte\n" for name in names)
    (data / "labels.csv").write_text(table)
    run("stain", "fit", folders[1], "--out", tmp_path / "there.json", capsys=capsys)
    out = tmp_path / "out"
    code, text = run(
        "stain", "apply", data, "--from", tmp_path / "there.json", "--to", folders[0], "--out", out, capsys=capsys
    )
    assert code == 1
    assert "broken.png" in text
    assert len(list(out.glob("*.png"))) == 40
    assert (out / "labels.csv").read_text() == table


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fit", "{few}", "--out", "{tmp}/x.json"), "at least 20"),
        (("fit", "{tmp}/nowhere", "--out", "{tmp}/x.json"), "is no folder"),
        (("fit", "{empty}", "--out", "{tmp}/x.json"), "holds no images"),
        (("apply", "{home}", "--to", "{few}", "--out", "{tmp}/x"), "at least 20"),
        (("apply", "{home}", "--to", "pbc-265", "--out", "{tmp}/x"), "neither a folder"),
        (("apply", "{home}", "--to", "{text}", "--out", "{tmp}/x"), "no JSON"),
        (("apply", "{home}", "--to", "{home}", "--out", "{home}/inside"), "lies within"),
        (("apply", "{home}", "--to", "{home}", "--out", "{few}"), "holds other files"),
        (("check", "{home}", "{tmp}/nowhere"), "neither a folder"),
    ],
)
def test_wrong_use_gets_a_sentence_and_code_2(arguments, said, folders, tmp_path, capsys) -> None:
    save([home(0)] * 5, tmp_path / "few")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("no look")
    places = {name: tmp_path / name for name in ("few", "empty", "text")} | {"home": folders[0], "tmp": tmp_path}
    code, text = run("stain", *(a.format(**places) for a in arguments), capsys=capsys)
    assert code == 2
    assert said in text
    assert not (folders[0] / "inside").exists()


def test_generate_in_a_laboratorys_look(folders, tmp_path, capsys) -> None:
    command = ("generate", "pbc-256", "--cell-type", "monocyte", "--count", "2", "--threads", "1")
    code, text = run(*command, "--style", folders[1], "--out", tmp_path / "cells", capsys=capsys)
    assert code == 0, text
    run("stain", "fit", folders[1], "--out", tmp_path / "there.json", capsys=capsys)
    look = read_look(tmp_path / "there.json")
    path = tmp_path / "cells" / "monocyte" / "monocyte-00000001.png"
    record = read_provenance(path)
    assert (record.style, record.style_id) == ("elsewhere", look.id)
    assert f"elsewhere,{look.id}" in (tmp_path / "cells" / "metadata.csv").read_text()

    # The file of the look gives the same image as the folder, and the same command completes.
    chain = SyntheticCellGAN.load("pbc-256")
    made = chain.generate("monocyte", 1, seed=1, style=look)
    assert (made.images[0] == read_image(path)).all()
    plain = chain.generate("monocyte", 1, seed=1)
    assert (made.basic == plain.basic).all()
    light = np.percentile(made.images[0].reshape(-1, 3), 90, axis=0)
    assert light == pytest.approx(np.array(HOME) * LAMP, abs=12)

    code, text = run(*command, "--out", tmp_path / "cells", capsys=capsys)
    assert code == 2
    assert "another generation" in text


def test_without_a_style_files_say_nothing_of_one(tmp_path, capsys) -> None:
    run("generate", "pbc-256", "--cell-type", "monocyte", "--count", "1", "--out", tmp_path / "c", capsys=capsys)
    assert "style" not in (tmp_path / "c" / "metadata.csv").read_text()
    with Image.open(tmp_path / "c" / "monocyte" / "monocyte-00000000.png") as image:
        assert "style" not in image.info["Description"]


def test_too_few_images_for_a_style(tmp_path, capsys) -> None:
    save([home(0)] * 19, tmp_path / "few")
    code, text = run(
        "generate", "pbc-256", "--cell-type", "monocyte", "--style", tmp_path / "few", "--out", tmp_path / "c",
        capsys=capsys,
    )  # fmt: skip
    assert code == 2
    assert "at least 20" in text
    assert not (tmp_path / "c").exists()


def test_the_shipped_bundle_and_the_shipped_sample_have_one_look(tmp_path, capsys) -> None:
    paths = sorted(sample_folder().glob("*/*.*"))[::4]  # 40, of all types
    sample = fit(paths, "sample")
    sample.write(tmp_path / "sample.json")
    code, text = run("stain", "check", "pbc-256", tmp_path / "sample.json", capsys=capsys)
    assert code == 0
    assert "another look" not in text.splitlines()[0]
