"""ONNX files are built here byte by byte, so that no package for writing them is needed."""

import numpy as np
import pytest

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.extractors.onnx import OnnxExtractor
from syntheticcellgan.evaluation.extractors.onnx_graph import _message, _varint, with_output
from syntheticcellgan.evaluation.features import features_of, get_extractor

onnxruntime = pytest.importorskip("onnxruntime")


def number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def node(kind: str, inputs: list[str], outputs: list[str], attributes: bytes = b"") -> bytes:
    names = b"".join(_message(1, name.encode()) for name in inputs) + b"".join(_message(2, o.encode()) for o in outputs)
    return _message(1, names + _message(4, kind.encode()) + attributes)


def value(field: int, name: str, shape: list[int]) -> bytes:
    dimensions = b"".join(_message(1, number(1, size) if size else _message(2, b"N")) for size in shape)
    tensor = number(1, 1) + _message(2, dimensions)
    return _message(field, _message(1, name.encode()) + _message(2, _message(1, tensor)))


def network(size: int = 8, batch: int = 0) -> bytes:
    """images → doubled (the sum of an image with itself) → pooled (its mean over positions, N × 3 × 1 × 1)."""
    graph = (
        node("Add", ["images", "images"], ["doubled"])
        + node("GlobalAveragePool", ["doubled"], ["pooled"])
        + _message(2, b"toy")
        + value(11, "images", [batch, 3, size, size])
        + value(12, "pooled", [batch, 3, 1, 1])
    )
    return number(1, 8) + _message(7, graph) + _message(8, number(2, 13))


def test_a_network_from_a_file_gets_normalised_images_of_its_own_size(tmp_path):
    (tmp_path / "toy.onnx").write_bytes(network())
    extractor = get_extractor("inception-v3", tmp_path / "toy.onnx")
    assert (extractor.name, extractor.input_size, extractor.dim) == ("inception-v3", 8, 3)
    images = np.full((5, 30, 40, 3), (0, 255, 51), np.uint8)
    # −1 … 1 for Inception, doubled by the network.
    assert features_of(images, extractor) == pytest.approx(np.tile([-2, 2, -1.2], (5, 1)), abs=1e-5)
    assert len(extractor.sha256) == 64


def test_an_inner_tensor_becomes_the_only_output():
    model = with_output(network(), "doubled")
    assert b"GlobalAveragePool" not in model  # what comes after is not computed
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["doubled"]
    images = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    assert session.run(None, {"images": images})[0] == pytest.approx(2 * images)


def test_an_unknown_tensor_or_damaged_model_ends_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match="no tensor called features"):
        with_output(network(), "features")
    for damaged in (network()[:-9], b"\x3a\xff\xff\xff\xff\x0f", b"\xff" * 40):
        with pytest.raises(InputError, match=r"ONNX model.*damaged|not an ONNX model"):
            with_output(damaged, "doubled")
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(InputError, match=r"text\.onnx: ONNX Runtime cannot load"):
        OnnxExtractor("dinov2", tmp_path / "text.onnx")


def test_a_network_for_one_image_at_a_time_works_and_one_for_four_says_so(tmp_path):
    (tmp_path / "one.onnx").write_bytes(network(batch=1))
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    (tmp_path / "any.onnx").write_bytes(network())
    one, any_number = (OnnxExtractor("dinov2", tmp_path / name)(images) for name in ("one.onnx", "any.onnx"))
    assert one == pytest.approx(any_number, abs=1e-5)
    (tmp_path / "four.onnx").write_bytes(network(batch=4))
    with pytest.raises(InputError, match=r"four\.onnx does not run on one image.*batch size of 1"):
        OnnxExtractor("dinov2", tmp_path / "four.onnx")
