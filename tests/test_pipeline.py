"""Image = f(bundle, cell type, seed, truncation), whatever the batch, the order or the number of threads."""

from __future__ import annotations

import hashlib
import itertools
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.bundle_writing import write_bundle
from syntheticcellgan.config import ChainConfig, GeneratorConfig, TranslatorConfig
from syntheticcellgan.errors import InputError
from syntheticcellgan.networks.generator import LowResolutionGenerator
from syntheticcellgan.networks.translator import Translator
from syntheticcellgan.noise import noises

RECORDED = [0.637461, 0.001005, -1.743934, 0.998384]


def make(folder: Path, types: tuple[str, ...], mode: str = "typed") -> SyntheticCellGAN:
    generator = GeneratorConfig(resolution=32, width=16, latent_size=8, mode=mode)
    chain = ChainConfig(types, generator, TranslatorConfig(scale=4, width=8, blocks=1))
    networks = LowResolutionGenerator(chain), Translator(chain)
    write_bundle(folder, chain, *networks, {"name": "tiny"}, Image.new("RGB", (8, 8)))
    return SyntheticCellGAN.load(folder)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    return make(tmp_path_factory.mktemp("b") / "tiny", ("eosinophil", "hairy_cell", "monocyte"))


def test_arrays_have_the_promised_shapes(chain):
    cells = chain.generate(["monocyte", "eosinophil"], count=3, seed=5)
    assert cells.images.shape == (6, 128, 128, 3)
    assert cells.basic.shape == (6, 32, 32, 3)
    assert cells.images.dtype == np.uint8
    assert cells.cell_types == ["monocyte"] * 3 + ["eosinophil"] * 3
    assert cells.seeds == [5, 6, 7, 5, 6, 7]


def test_an_image_is_the_same_alone_among_others_in_any_order_and_on_any_thread(chain):
    many = chain.generate("monocyte", count=11)
    for seed in (0, 3, 4, 10):
        assert np.array_equal(chain.generate("monocyte", seed=seed).images[0], many.images[seed])
    shuffled = list(
        chain.stream([("eosinophil", 9), ("monocyte", 7), ("hairy_cell", 1), ("monocyte", 2), ("monocyte", 0)])
    )
    assert np.array_equal(shuffled[1].image, many.images[7])
    assert np.array_equal(shuffled[4].image, many.images[0])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert np.array_equal(chain.generate("monocyte", count=11).images, many.images)
    finally:
        torch.set_num_threads(threads)


def test_the_noise_of_a_type_and_seed_never_changes():
    """A change here would silently change every image that anybody has recorded by its seed."""
    (noise,) = noises([("monocyte", 7)], [(4,)])
    key = int.from_bytes(hashlib.sha256(b"monocyte\n7").digest()[:16], "little")
    expected = np.random.Generator(np.random.Philox(key=key)).standard_normal(4, dtype=np.float32)
    assert np.array_equal(noise[0].numpy(), expected)
    assert np.allclose(noise[0], RECORDED, atol=1e-6)


def test_an_image_does_not_depend_on_which_other_types_the_bundle_lists_first(chain):
    few = [x.numpy().tobytes() for x in noises([("monocyte", 1)], [(8,), (3, 4, 4)])]
    many = noises([("eosinophil", 1), ("monocyte", 1)], [(8,), (3, 4, 4)])
    assert few == [x[1:].numpy().tobytes() for x in many]


def test_a_stream_left_early_stops_its_workers_and_gives_the_threads_back(chain):
    threads, workers = torch.get_num_threads(), threading.active_count()
    stream = chain.stream(("monocyte", seed) for seed in itertools.count())
    assert [next(stream).seed for _ in range(6)] == list(range(6))
    stream.close()
    assert torch.get_num_threads() == threads
    assert threading.active_count() == workers


def test_seeds_and_types_give_different_images(chain):
    cells = chain.generate(["monocyte", "eosinophil"], count=4)
    assert len({image.tobytes() for image in cells.images}) == 8
    assert len({image.tobytes() for image in cells.basic}) == 8


def test_truncation_draws_cells_nearer_together(chain):
    def spread(truncation):
        return chain.generate("monocyte", 12, truncation=truncation).basic.astype(float).std(axis=0).mean()

    assert spread(0.0) == 0
    assert 0 < spread(0.5) < spread(1.0)


def test_a_bundle_can_spread_its_cells_beyond_what_the_mapping_says(chain):
    wide = replace(chain.bundle, chain=replace(chain.chain, generator=replace(chain.chain.generator, spread=1.25)))
    far = SyntheticCellGAN(wide)
    for truncation, same in ((0.8, 1.0), (0.0, 0.0)):
        ours, theirs = (
            far.generate("monocyte", 4, truncation=truncation),
            chain.generate("monocyte", 4, truncation=same),
        )
        assert np.abs(ours.images.astype(int) - theirs.images.astype(int)).max() <= 1
    assert not np.array_equal(far.generate("monocyte").images, chain.generate("monocyte").images)


def test_any_name_of_a_type_will_do(chain):
    assert np.array_equal(chain.generate("Monocytes").images, chain.generate("monocyte").images)


def test_basic_mode_draws_the_same_kind_of_basic_cell_for_every_type(tmp_path):
    chain = make(tmp_path / "b", ("eosinophil", "monocyte"), "basic")
    assert chain.bundle.generator.types is None
    assert chain.generate("monocyte").images.shape == chain.generate("eosinophil").images.shape


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"cell_type": "monocite"}, "did you mean “monocyte”"),
        ({"cell_type": "monocyte", "count": 0}, "count is 0"),
        ({"cell_type": "monocyte", "count": -1}, "count is -1"),
        ({"cell_type": "monocyte", "count": 10**9}, "1,000,000"),
        ({"cell_type": "monocyte", "seed": -1}, "seed is -1"),
        ({"cell_type": "monocyte", "seed": 2**63}, "seed is"),
        ({"cell_type": "monocyte", "seed": 2**63 - 1, "count": 2}, "seeds of 2 images"),
        ({"cell_type": ""}, "knows no cell type “”"),
        ({"cell_type": []}, "No cell type was named"),
        ({"cell_type": "monocyte", "truncation": 2.0}, "truncation is 2.0"),
        ({"cell_type": "monocyte", "truncation": float("nan")}, "truncation is nan"),
    ],
)
def test_wrong_requests_are_explained(chain, arguments, said):
    with pytest.raises(InputError, match=said):
        chain.generate(**arguments)


def test_a_walk_leads_from_one_cell_to_the_other_through_neighbours(chain):
    start, end = ("eosinophil", 3), ("monocyte", 8)
    way = chain.walk(start, end, steps=9, truncation=0.9)
    assert way.shape == (9, 128, 128, 3)
    for picture, (name, seed) in ((way[0], start), (way[-1], end)):
        assert np.array_equal(picture, chain.generate(name, seed=seed, truncation=0.9).images[0])
    steps = np.abs(np.diff(way.astype(float), axis=0)).mean(axis=(1, 2, 3))
    assert 0 < steps.max() < np.abs(way[-1].astype(float) - way[0]).mean()
    assert np.array_equal(chain.walk(end, start, steps=3, truncation=0.9)[1], way[4])


def test_a_walk_out_of_range_is_refused(chain):
    for start, steps in ((("nobody", 0), 5), (("monocyte", -1), 5), (("monocyte", 0), 1)):
        with pytest.raises(InputError):
            chain.walk(start, ("monocyte", 0), steps)
