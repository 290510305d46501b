"""Copies planted among real cells (the shipped sample) and among drawn ones."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

import syntheticcellgan
from syntheticcellgan.data.images import read_image
from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.copies import Fingerprints, find_copies, judge
from syntheticcellgan.evaluation.fingerprint import DIM, Nearest, fingerprint, nearest, views

SAMPLE = sorted((Path(syntheticcellgan.__file__).parent / "sample").glob("*/*.jpg"))


@pytest.fixture(scope="module")
def cells() -> list[np.ndarray]:
    return [read_image(path) for path in SAMPLE]


@pytest.fixture(scope="module")
def real(cells) -> Fingerprints:
    """120 training cells; the other 40 are held out, too few, so training cells join the yardstick."""
    return Fingerprints.of([cell for i, cell in enumerate(cells) if i % 4], cells[::4])


def recoloured(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    values = 255 * (image / 255) ** rng.uniform(0.75, 1.3, 3) * rng.uniform(0.85, 1.1, 3)
    return values.clip(0, 255).astype(np.uint8)


def turned(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.rot90(image, int(rng.integers(4)))[:, :: int(rng.choice([-1, 1]))]


def cropped(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    side = round(0.9 * len(image))
    y, x = rng.integers(len(image) - side + 1, size=2)
    return image[y : y + side, x : x + side]


def blurred(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(2)))


CHANGES = {
    "exact": lambda image, rng: image,
    "turned": turned,
    "recoloured": recoloured,
    "cropped": cropped,
    "blurred": blurred,
    "all of them": lambda image, rng: blurred(recoloured(cropped(turned(image, rng), rng), rng), rng),
}


def test_eight_symmetries_leave_a_fingerprint_the_same(cells):
    among = fingerprint(cells[:20])
    for turns in range(4):
        for step in (1, -1):
            changed = [np.rot90(cell, turns)[:, ::step] for cell in cells[:20]]
            found = nearest(fingerprint(changed), among)
            assert found.index.tolist() == list(range(20))
            assert found.similarity.min() > 0.999


def test_fingerprints_have_length_one_and_different_cells_differ(cells):
    made = fingerprint(cells[:40])
    assert made.shape == (40, DIM)
    assert made.dtype == np.float16
    others = nearest(made, made, own=np.arange(40))
    assert others.similarity.max() < 0.75
    assert (others.index != np.arange(40)).all()


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_changed_copies_are_found_and_their_originals_named(change, cells, real):
    rng = np.random.default_rng(0)
    training = [cell for i, cell in enumerate(cells) if i % 4]
    report = find_copies([CHANGES[change](cell, rng) for cell in training[:60:2]], real)
    assert report.copies_found
    assert report.beyond_first_percentile.share.value > 0.9
    assert (report.nearest == np.arange(0, 60, 2)).mean() > 0.95
    assert report.score < 0.1
    assert len(report.closest) == 10
    assert report.closest[0].training == 2 * report.closest[0].synthetic


def test_cells_that_are_no_copies_raise_no_alarm(cells, real):
    report = find_copies(cells[::4], real)  # held out of these fingerprints
    assert not report.copies_found
    assert report.copies == 0
    assert report.score > 0.95
    assert report.sentence.startswith("No sign of copying: of 40 synthetic images, 0 are copies beyond doubt")
    assert (report.n_training, report.n_held_out, report.n_baseline) == (120, 40, 160)


def drawn(n: int, seed: int) -> np.ndarray:
    """(n, 64, 64, 3): smooth random dark shapes, each different from the others."""
    rng = np.random.default_rng(seed)
    waves = np.fft.fft2(rng.normal(size=(n, 64, 64)))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64)))
    field = np.fft.ifft2(waves * np.exp(-((frequency / 0.06) ** 2))).real
    field = field / field.std(axis=(1, 2), keepdims=True)
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    grey = 200 - 90 * np.exp(-(x**2 + y**2) / 0.2) + 25 * field
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=3)


def test_one_percent_of_copies_among_two_thousand_images_is_found():
    rng = np.random.default_rng(5)
    training, held_out = drawn(400, 0), drawn(250, 1)
    real = Fingerprints.of(training, held_out)
    clean = nearest(views(drawn(2000, 2)), real.descriptors)
    without = judge(clean, real)
    assert not without.copies_found
    assert without.copies == 0
    originals = rng.permutation(400)[:20]
    copies = nearest(views([recoloured(turned(training[i], rng), rng) for i in originals]), real.descriptors)
    mixed = Nearest(
        np.concatenate([clean.similarity[:1980], copies.similarity]), np.concatenate([clean.index[:1980], copies.index])
    )
    report = judge(mixed, real)
    assert report.copies_found
    assert 18 <= report.copies <= 22
    assert report.copy_share.low > 0.004
    found = {(pair.synthetic, pair.training) for pair in report.closest}
    assert found <= {(1980 + i, int(original)) for i, original in enumerate(originals)}


def test_cells_that_are_somewhat_near_too_often_are_called_near_and_not_copies():
    baseline = np.linspace(0.4, 0.8, 400, dtype=np.float32)
    real = Fingerprints(np.zeros((1, DIM), np.float16), baseline, 400)
    distances = np.full(200, 0.6)
    distances[:10] = 0.403  # beyond the first percentile, none nearer than the nearest real cell
    report = judge(Nearest(1 - distances, np.zeros(200, np.int64)), real)
    assert report.copies_found
    assert report.copies == 0
    assert report.sentence.startswith("Nearer to training images than different real cells are")


def test_the_share_beyond_a_rank_follows_its_exact_distribution():
    # If synthetic and held-out distances come from one distribution, alarms are as rare as promised.
    rng = np.random.default_rng(0)
    descriptors, alarms, shares = np.zeros((1, DIM), np.float16), 0, []
    for _ in range(300):
        baseline = np.sort(rng.normal(0.5, 0.05, 400).clip(0, 1)).astype(np.float32)
        similarity = 1 - rng.normal(0.5, 0.05, 500).clip(0, 1)
        report = judge(Nearest(similarity, np.zeros(500, np.int64)), Fingerprints(descriptors, baseline, 400))
        alarms += report.copies_found
        shares.append(report.beyond_first_percentile.share.value - report.beyond_first_percentile.expected)
        assert 0 <= report.beyond_nearest.p <= 1
    assert alarms <= 9  # 2 % of 300, and chance
    assert abs(np.mean(shares)) < 0.002


def test_fingerprints_survive_saving_and_stand_alone(cells, real, tmp_path):
    real.save(tmp_path / "fingerprints.npz")
    loaded = Fingerprints.load(tmp_path / "fingerprints.npz")
    assert Fingerprints.from_bytes(real.to_bytes()).held_out == 40
    assert np.array_equal(loaded.descriptors, real.descriptors)
    assert np.array_equal(loaded.baseline, real.baseline)
    assert [path.name for path in tmp_path.iterdir()] == ["fingerprints.npz"]
    assert find_copies(cells[:30], loaded).as_dict() == find_copies(cells[:30], real).as_dict()


def test_damaged_or_foreign_fingerprints_are_refused(real, tmp_path):
    with pytest.raises(InputError, match=r"missing\.npz cannot be read"):
        Fingerprints.load(tmp_path / "missing.npz")
    (tmp_path / "text.npz").write_text("nothing")
    np.savez(tmp_path / "other.npz", format=1, descriptors=np.zeros((3, 7), np.float16))
    np.savez(tmp_path / "pickled.npz", format=1, descriptors=np.array([{}], object), baseline=0, held_out=0)
    real.save(tmp_path / "whole.npz")
    (tmp_path / "half.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:2000])
    for name in ("text.npz", "other.npz", "pickled.npz", "half.npz"):
        with pytest.raises(InputError, match=f"{name} holds no fingerprints"):
            Fingerprints.load(tmp_path / name)
    with pytest.raises(InputError, match="make them anew"):
        Fingerprints(np.full((2, DIM), np.nan, np.float16), np.zeros(100, np.float32), 0)


def test_bad_input_ends_in_a_sentence(cells, real):
    with pytest.raises(InputError, match="at least 20"):
        find_copies(cells[:19], real)
    with pytest.raises(InputError, match="at least 100"):
        Fingerprints.of(cells[:50], cells[50:70])
    with pytest.raises(InputError, match="grey image"):
        find_copies([np.zeros((64, 64), np.uint8)] * 30, real)
    with pytest.raises(InputError, match="no fingerprint to compare with"):
        nearest(views(cells[:2]), np.zeros((0, DIM), np.float16))


def test_an_image_of_one_colour_resembles_nothing(real):
    flat = np.full((64, 64, 3), 200, np.uint8)
    assert not fingerprint([flat]).any()
    assert nearest(views([flat]), real.descriptors).similarity[0] == 0
