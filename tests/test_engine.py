"""Precision and engine change the last bits of an image, never the cell, and every file says which were used."""

from __future__ import annotations

import json
import socket
import sys

import numpy as np
import pytest
import torch

from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.cli import main
from syntheticcellgan.engine import InPyTorch, networks_of
from syntheticcellgan.errors import InputError
from syntheticcellgan.pipeline import MICRO_BATCH
from syntheticcellgan.provenance import read_provenance

KIND = "neutrophil"


@pytest.fixture(scope="module")
def exact() -> SyntheticCellGAN:
    return SyntheticCellGAN.load("pbc-256")


def off(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Levels by which pixels differ."""
    return np.abs(one.astype(int) - other.astype(int))


def test_in_bfloat16_a_seed_gives_the_same_cell_within_the_stated_tolerance(exact):
    rough = SyntheticCellGAN(exact.bundle, networks=InPyTorch(exact.bundle, "bfloat16"))
    a, b = exact.generate(KIND, 4), rough.generate(KIND, 4)
    assert np.array_equal(a.basic, b.basic), "the first network stays exact"
    assert 0 < off(a.images, b.images).mean() < 0.4
    assert off(a.images, b.images).max() <= 10
    assert np.array_equal(rough.generate(KIND, 1, seed=2).images[0], b.images[2]), "whatever it is made with"
    assert rough.steered({}).networks.precision == "bfloat16"


@pytest.mark.parametrize(("precision", "engine"), [("float16", "pytorch"), ("float32", "tensorrt")])
def test_what_there_is_not_is_refused_with_what_there_is(precision, engine):
    with pytest.raises(InputError, match="float32 or bfloat16" if precision == "float16" else "pytorch or openvino"):
        SyntheticCellGAN.load("pbc-256", precision, engine)


def openvino(exact: SyntheticCellGAN, precision: str = "float32") -> SyntheticCellGAN:
    return SyntheticCellGAN(
        exact.bundle,
        networks=networks_of(exact.bundle, precision, "openvino", MICRO_BATCH),  # type: ignore[arg-type]
    )


def test_openvino_makes_the_same_cells_whatever_the_threads_and_calls_nobody(exact, monkeypatch):
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    called: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: called.append(address))
    threads = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            chain = openvino(exact)
            assert str(chain.networks.engine).startswith("OpenVINO 20")
            cells = chain.generate(KIND, 6)
            assert off(cells.images, exact.generate(KIND, 6).images).max() <= 1
            assert np.array_equal(chain.generate(KIND, 1, seed=5).images[0], cells.images[5])
            if count == 1:
                alone = cells
        assert np.array_equal(alone.images, cells.images)
        ends = (KIND, 0), ("monocyte", 0)
        assert off(chain.walk(*ends, steps=3), exact.walk(*ends, steps=3)).max() <= 1, "between two types, too"
    finally:
        torch.set_num_threads(threads)
    rough = openvino(exact, "bfloat16")
    differences = off(rough.generate(KIND, 4).images, cells.images[:4])
    assert differences.mean() < 0.4
    assert differences.max() <= 10
    assert not called


def test_files_name_the_engine_and_a_folder_is_not_completed_by_another(tmp_path, capsys):
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    asked = ["generate", "pbc-256", "--cell-type", "platelet", "--count", "2", "--out", str(tmp_path)]
    main([*asked, "--engine", "openvino"])
    (file,) = tmp_path.glob("platelet/*1.png")
    assert str(read_provenance(file).engine).startswith("OpenVINO 20")
    assert "OpenVINO" in json.loads((tmp_path / "generation.json").read_text())["engine"]
    with pytest.raises(SystemExit) as ended:
        main(asked)
    assert ended.value.code == 2
    assert "another generation" in capsys.readouterr().err


def test_without_openvino_pytorch_makes_them_and_the_log_says_why(exact, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "syntheticcellgan.openvino_engine", raising=False)
    chain = openvino(exact, "bfloat16")
    assert chain.networks.engine is None
    assert chain.networks.precision == "bfloat16"
    assert "pip install 'syntheticcellgan[openvino]'" in caplog.text


def test_an_engine_that_makes_other_cells_is_not_used(exact, monkeypatch, caplog):
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    from syntheticcellgan import openvino_engine

    monkeypatch.setattr(openvino_engine, "_check", _worse(openvino_engine._check))
    assert openvino(exact).networks.engine is None
    assert "differ from PyTorch's by up to" in caplog.text


def _worse(check):
    return lambda made, exact, precision: check(made + 0.5, exact, precision)
