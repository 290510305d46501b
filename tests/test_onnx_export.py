"""The generator as an ONNX graph: the same cells as PyTorch makes, and no PyTorch needed to make them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.bundle import load_bundle
from syntheticcellgan.cli import main
from syntheticcellgan.errors import InputError
from tests.test_pipeline import make

pytest.importorskip("onnxscript", reason="pip install 'syntheticcellgan[onnx]' for the ONNX export")
pytest.importorskip("onnxruntime", reason="pip install 'syntheticcellgan[onnx]' for the ONNX export")

from syntheticcellgan.onnx_export import MEAN_TOLERANCE, TOLERANCE, export_onnx
from syntheticcellgan.onnx_runner import Generator, noise


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[SyntheticCellGAN, Path]:
    place = tmp_path_factory.mktemp("b")
    chain = make(place / "tiny", ("eosinophil", "hairy_cell", "monocyte"))
    main(["bundle", "export", str(chain.bundle.path), str(place / "cells.onnx"), "--onnx"])
    return chain, place / "cells.onnx"


@pytest.mark.parametrize("truncation", [1.0, 0.5, 0.0])
def test_the_graph_makes_the_cells_of_the_chain(exported, truncation):
    chain, path = exported
    graph = Generator(path, threads=1)
    for name in ("eosinophil", "monocyte"):
        ours = chain.generate(name, count=6, seed=3, truncation=truncation).images.astype(int)
        theirs = graph.generate(name, count=6, seed=3, truncation=truncation).astype(int)
        assert np.abs(ours - theirs).max() <= TOLERANCE
        assert np.abs(ours - theirs).mean() <= MEAN_TOLERANCE


def test_a_seed_is_the_same_cell_alone_and_among_others(exported):
    graph = Generator(exported[1], threads=1)
    many = graph.generate("monocyte", count=7, seed=0)
    for seed in (0, 3, 4, 6):
        assert np.array_equal(graph.generate("monocyte", seed=seed)[0], many[seed])
    assert not np.array_equal(many[0], many[1])


def test_the_runner_draws_the_noise_of_the_pipeline():
    from syntheticcellgan.noise import noises

    sizes = [(8,), (3, 4, 4)]
    for ours, theirs in zip(noises([("monocyte", 5)], sizes), noise("monocyte", 5, sizes), strict=True):
        assert np.array_equal(ours[0].numpy(), theirs)


def test_the_runner_needs_no_pytorch_and_nothing_of_this_package(exported, tmp_path):
    chain, path = exported
    blocked = "import sys, runpy; sys.modules['torch'] = sys.modules['syntheticcellgan'] = None\n"
    blocked += "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-I", "-c", blocked, str(path.with_name("onnx_runner.py")), str(path)]
    options = ["--cell-type", "monocyte", "--count", "3", "--seed", "5", "--out", str(tmp_path / "cells")]
    subprocess.run([*command, *options], check=True, capture_output=True)
    files = sorted((tmp_path / "cells").iterdir())
    assert [p.name for p in files] == [f"monocyte-{seed:08d}.png" for seed in (5, 6, 7)]
    ours = chain.generate("monocyte", count=3, seed=5).images
    for image, file in zip(ours, files, strict=True):
        with Image.open(file) as read:
            assert np.abs(np.asarray(read).astype(int) - image).max() <= TOLERANCE
            record = json.loads(read.info["Description"])
            assert record["synthetic"] is True
            assert record["bundle_id"] == chain.bundle.id
            assert "trainedAlgorithmicMedia" in read.info["XML:com.adobe.xmp"]
    wrong = subprocess.run(
        [*command, "--cell-type", "monocite", "--out", "x"], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 1
    assert "Types: eosinophil, hairy_cell, monocyte" in wrong.stderr


def test_the_export_refuses_what_it_cannot_do(exported, tmp_path):
    chain, path = exported
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        export_onnx(chain.bundle, path)
    assert path.read_bytes() == before
    with pytest.raises(InputError, match=r"ends in \.onnx"):
        export_onnx(chain.bundle, tmp_path / "cells")
    assert not list(tmp_path.iterdir())


def test_a_graph_of_other_weights_would_be_found_out(exported, tmp_path, monkeypatch):
    import syntheticcellgan.onnx_export as module
    from syntheticcellgan.errors import ScgError

    chain, _ = exported
    other = make(tmp_path / "other", ("eosinophil", "hairy_cell", "monocyte"))
    other.bundle.translator.image.bias.data += 0.05
    graph = module._graph(other.bundle)
    monkeypatch.setattr(module, "_graph", lambda _: graph)
    with pytest.raises(ScgError, match="differ from PyTorch"):
        export_onnx(load_bundle(chain.bundle.path), tmp_path / "cells.onnx")
    assert not list(tmp_path.glob("*.onnx"))
