"""The command line: quick help, exit codes, sentences."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from syntheticcellgan.cli import main


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and everything printed; training with one thread, which tiny networks are quickest with."""
    one_thread = ("--threads", "1") if arguments[0] == "train" else ()
    try:
        code = main([*arguments, *one_thread])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return int(code or 0), captured.out + captured.err


def test_help_is_quick_and_imports_no_torch():
    code = "import sys; from syntheticcellgan.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "assert 'torch' not in sys.modules and 'numpy' not in sys.modules, 'heavy import'"
    best = 9.0
    for _ in range(3):  # processor time, the best of three: the machine may be busy
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime)
    assert best < 0.5


@pytest.mark.parametrize("verb", ["train", "generate", "evaluate", "bundle", "data", "stain", "demo"])
def test_each_verb_explains_itself(verb, capsys):
    code, text = run(verb, "--help", capsys=capsys)
    assert code == 0
    assert "Usage: scg" in text


def test_a_misspelt_command_proposes_the_nearest(capsys):
    code, text = run("trian", capsys=capsys)
    assert code == 2
    assert "“train”" in text


def test_a_misspelt_option_proposes_the_nearest(capsys, tmp_path):
    code, text = run("train", "data", "--out", str(tmp_path / "r"), "--treads", "2", capsys=capsys)
    assert code == 2
    assert "--threads" in text


def test_an_empty_folder_is_refused(capsys, tmp_path):
    code, text = run("train", str(tmp_path), "--out", str(tmp_path / "run"), capsys=capsys)
    assert code == 2
    assert str(tmp_path) in text
    assert not (tmp_path / "run").exists()


def test_a_type_with_one_image_is_refused_and_named(capsys, tmp_path, drawn_cells):
    data = tmp_path / "data"
    for folder in ("lymphocyte", "monocyte"):
        (data / folder).mkdir(parents=True)
        images = sorted((drawn_cells / folder).iterdir())[: 1 if folder == "monocyte" else None]
        for image in images:
            (data / folder / image.name).write_bytes(image.read_bytes())
    code, text = run("train", str(data), "--out", str(tmp_path / "run"), capsys=capsys)
    assert code == 2
    assert "monocyte has 1 image;" in text
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("low_resolution.kmig=3", "did you mean “kimg”?"),
        ("low_resolution.objective=wgan", "relativistic, wgan-gp"),
        ("generator.width=17", "steps of 16"),
        ("translation.crop=100", "multiple of 32"),
        ("low_resolution.kimg=-1", "above 0"),
        ("nonsense", "KEY=VALUE"),
        ("low_resolution.batch=many", "whole number"),
    ],
)
def test_a_wrong_setting_is_explained(setting, said, capsys, tmp_path, drawn_cells):
    code, text = run("train", str(drawn_cells), "--out", str(tmp_path / "run"), "--set", setting, capsys=capsys)
    assert code == 2
    assert said in text
    assert not (tmp_path / "run").exists()


def test_a_folder_with_other_files_is_refused_and_left_alone(capsys, tmp_path, drawn_cells):
    (tmp_path / "thesis.txt").write_text("years of work")
    code, text = run("train", str(drawn_cells), "--out", str(tmp_path), capsys=capsys)
    assert code == 2
    assert "holds other files" in text
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


TINY = {
    "generator": {"width": 16, "resolution": 32, "latent_size": 8},
    "translator": {"width": 8, "blocks": 1},
    "autoencoder": {"kimg": 0.016, "batch": 4},
    "low_resolution": {"kimg": 0.016, "batch": 4},
    "translation": {"kimg": 0.016, "paired_kimg": 0.008, "batch": 4, "crop": 64},
    "refinement": {"kimg": 0.008, "batch": 4, "crop": 64, "compared": 8, "remembered": 2},
}


@pytest.fixture
def tiny_settings(tmp_path: Path) -> str:
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(TINY))
    return str(path)


@pytest.mark.parametrize("extra", [(), ("--mode", "basic"), ("--set", "low_resolution.objective=wgan-gp")])
def test_training_makes_a_bundle_that_generates(extra, capsys, tmp_path, drawn_cells, tiny_settings):
    out = tmp_path / "run"
    arguments = ["train", str(drawn_cells), "--out", str(out), "--config", tiny_settings, *extra]
    code, text = run(*arguments, capsys=capsys)
    assert code == 0, text
    code, text = run("bundle", "verify", str(out / "bundle"), capsys=capsys)
    assert code == 0, text
    cells = tmp_path / "cells"
    code, text = run("generate", str(out / "bundle"), "--all", "--count", "2", "--out", str(cells), capsys=capsys)
    assert code == 0, text
    assert len(list(cells.glob("*/*.png"))) == 6
    code, text = run(*arguments, capsys=capsys)
    assert code == 0, "a finished run is left alone: " + text


def test_another_setting_in_an_old_run_folder_is_refused(capsys, tmp_path, drawn_cells, tiny_settings):
    out = tmp_path / "run"
    common = ["train", str(drawn_cells), "--out", str(out), "--config", tiny_settings, "--stage", "autoencoder"]
    assert run(*common, capsys=capsys)[0] == 0
    code, text = run(*common, "--seed", "5", capsys=capsys)
    assert code == 2
    assert "seed was 0, now 5" in text


def test_a_stage_in_use_by_another_process_is_refused(capsys, tmp_path, drawn_cells, tiny_settings):
    from syntheticcellgan.files import lock

    out = tmp_path / "run"
    arguments = ["train", str(drawn_cells), "--out", str(out), "--config", tiny_settings, "--stage", "autoencoder"]
    assert run(*arguments, capsys=capsys)[0] == 0
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\nfrom pathlib import Path\nfrom syntheticcellgan.files import lock\n"
            f"with lock(Path({str(out / 'low-resolution.lock')!r})):\n    print('held', flush=True)\n    time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        code, text = run(*arguments[:-1], "low-resolution", capsys=capsys)
        assert code == 2
        assert "in use by another process" in text
    finally:
        holder.kill()
        holder.wait()
    with lock(out / "low-resolution.lock"):  # a dead process's lock is free
        pass


def test_dry_run_writes_nothing(capsys, tmp_path, drawn_cells, tiny_settings):
    out = tmp_path / "run"
    code, text = run(
        "train", str(drawn_cells), "--out", str(out), "--config", tiny_settings, "--dry-run", capsys=capsys
    )
    assert code == 0
    assert "Nothing was written" in text
    assert not out.exists()


def test_a_run_of_given_hours_takes_so_long(capsys, tmp_path, drawn_cells, tiny_settings):
    options = ["--config", tiny_settings, "--hours", "2", "--dry-run"]
    code, text = run("train", str(drawn_cells), "--out", str(tmp_path / "run"), *options, capsys=capsys)
    assert code == 0
    assert "about 2 h 00 min" in text
