"""Checkpoints, averages, feeds, augmentation, networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from syntheticcellgan.config import ChainConfig, GeneratorConfig, TranslatorConfig
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.networks import translator
from syntheticcellgan.networks.autoencoder import Autoencoder
from syntheticcellgan.networks.blocks import enlarged
from syntheticcellgan.networks.critic import Critic
from syntheticcellgan.networks.degradation import cloud, degrade, disguise, nearness, shrink, veil
from syntheticcellgan.networks.generator import LowResolutionGenerator
from syntheticcellgan.networks.latents import FOLD
from syntheticcellgan.networks.patch_critic import PatchCritic
from syntheticcellgan.networks.translator import Translator
from syntheticcellgan.training import checkpoint
from syntheticcellgan.training.augment import shift_and_hide, symmetry
from syntheticcellgan.training.ema import Ema
from syntheticcellgan.training.feed import Feed
from syntheticcellgan.training.images import FolderImages
from syntheticcellgan.training.loop import learning_rate_factor
from syntheticcellgan.training.randomness import Chance


def tiny(resolution=32, scale=4, mode="typed"):
    return ChainConfig(
        ("a", "b", "c"),
        GeneratorConfig(resolution=resolution, width=16, latent_size=8, mode=mode),
        TranslatorConfig(scale=scale, width=8, blocks=1),
    )


@pytest.mark.parametrize(("resolution", "scale"), [(32, 4), (64, 2), (64, 4), (128, 2), (128, 4)])
def test_both_stages_give_the_promised_sides(resolution, scale):
    chain = tiny(resolution, scale)
    types = torch.tensor([0, 2])
    basic = LowResolutionGenerator(chain)(torch.randn(2, 8), types)
    assert basic.shape == (2, 3, resolution, resolution)
    assert Critic(chain)(
        torch.randn(2, chain.generator.latent_channels, resolution // FOLD, resolution // FOLD), types
    ).shape == (2,)
    noise = torch.randn(2, chain.translator.noise_channels, resolution, resolution)
    made = Translator(chain)(basic, types, torch.zeros(2), noise)
    assert made.shape == (2, 3, resolution * scale, resolution * scale)
    values, _ = PatchCritic(chain)(made, types)
    assert values.shape == (2, resolution * scale // 16, resolution * scale // 16)


def test_basic_mode_is_blind_to_the_type_and_typed_mode_is_not():
    noise = torch.randn(1, 8, generator=torch.Generator().manual_seed(1))
    for mode, same in (("basic", True), ("typed", False)):
        generator = LowResolutionGenerator(tiny(mode=mode))
        images = [generator(noise, torch.tensor([t])) for t in (0, 1)]
        assert torch.equal(*images) is same


def test_label_strength_zero_hides_the_type():
    generator = LowResolutionGenerator(tiny())
    noise = torch.randn(1, 8)
    assert torch.equal(*[generator(noise, torch.tensor([t]), 0.0) for t in (0, 1)])


def test_translator_changes_with_the_type_and_with_the_noise():
    network, basic = Translator(tiny()), torch.zeros(1, 3, 32, 32)
    noise = torch.randn(2, network.coarse_noise + 16, 32, 32)
    level = torch.zeros(1)
    base = network(basic, torch.tensor([0]), level, noise[:1])
    assert not torch.equal(base, network(basic, torch.tensor([1]), level, noise[:1]))
    assert not torch.equal(base, network(basic, torch.tensor([0]), level, noise[1:]))


def test_degradation_keeps_the_image_at_level_zero_and_its_mean_at_any_level():
    image = torch.rand(2, 3, 32, 32)
    nothing = torch.zeros_like(image)
    assert torch.allclose(degrade(image, torch.zeros(2), nothing), image, atol=1e-6)
    flat = torch.full_like(image, 0.3)
    assert torch.allclose(degrade(flat, torch.tensor([0.5, 1.0]), nothing), flat, atol=1e-5)
    blurred = degrade(image, torch.tensor([0.0, 1.0]), nothing)
    assert blurred[1].std() < 0.5 * blurred[0].std()


def test_the_translators_grain_is_finer_than_its_input():
    chain = tiny()
    translator = Translator(chain)
    noise = torch.zeros(2, chain.translator.noise_channels, 32, 32)
    noise[1, translator.coarse_noise, 16, 16] = 1.0  # one position of the finer grid
    made = translator(torch.zeros(2, 3, 32, 32), torch.tensor([0, 0]), torch.zeros(2), noise)
    changed = torch.nonzero((made[0] - made[1]).abs().sum(dim=0) > 1e-4)
    assert len(changed)
    assert (changed.max(dim=0).values - changed.min(dim=0).values).max() < 4 * 4


def test_no_pixel_of_a_fold_is_lighter_than_its_neighbours_on_the_whole():
    chain = tiny()
    translator = Translator(chain)
    with torch.no_grad():
        translator.image.bias.copy_(torch.linspace(-1, 1, 12))  # as chequered as a fold can be
    noise = torch.zeros(1, chain.translator.noise_channels, 32, 32)
    made = translator(torch.zeros(1, 3, 32, 32), torch.tensor([0]), torch.zeros(1), noise)
    phases = torch.stack([made[..., y::2, x::2].mean(dim=(2, 3)) for y in (0, 1) for x in (0, 1)])
    assert torch.allclose(phases, phases.mean(dim=0).expand_as(phases), atol=1e-5)


@pytest.mark.parametrize("scale", [2, 4])
def test_images_are_finished_alike_one_by_one_and_together(scale, monkeypatch):
    chain = tiny(scale=scale, resolution=64)
    network = Translator(chain).requires_grad_(False)
    chance = torch.Generator().manual_seed(3)
    noise = torch.randn(3, chain.translator.noise_channels, 64, 64, generator=chance)
    given = torch.rand(3, 3, 64, 64, generator=chance), torch.tensor([0, 1, 2]), torch.full((3,), 0.2), noise
    alone = network(*given)
    monkeypatch.setattr(translator, "_one_by_one", lambda x: False)
    assert torch.allclose(alone, network(*given), atol=1e-5)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_enlargement_by_products_is_bilinear_in_full_precision(kind):
    image = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(4))
    wanted = F.interpolate(image, scale_factor=4, mode="bilinear", align_corners=False)
    with torch.autocast("cpu", torch.bfloat16, enabled=kind == torch.bfloat16):
        assert torch.allclose(enlarged(image, 4), wanted, atol=1e-6)


def test_finer_noise_is_unfolded_as_pixels_are_shuffled():
    folded = torch.randn(2, 12, 5, 7)
    unfolded = translator._unfolded(folded, 2)
    assert torch.equal(unfolded, F.pixel_shuffle(folded, 2))
    assert unfolded.is_contiguous(memory_format=torch.channels_last)


def test_shrink_is_the_mean():
    assert shrink(torch.arange(16.0).view(1, 1, 4, 4), 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


def test_the_eight_symmetries_are_all_different_and_lose_nothing():
    image = np.arange(27).reshape(3, 3, 3)
    turned = [symmetry(image, i) for i in range(8)]
    assert len({t.tobytes() for t in map(np.ascontiguousarray, turned)}) == 8
    assert all(sorted(t.flat) == list(range(27)) for t in turned)


def test_latents_are_shifted_and_a_quarter_of_them_hidden_at_most():
    latents = torch.ones(200, 2, 8, 8, requires_grad=True)
    assert shift_and_hide(latents, 0.0, Chance(0)) is latents
    seen = shift_and_hide(latents, 1.0, Chance(0))
    hidden = (seen == 0).float().mean(dim=(1, 2, 3))
    assert hidden.max() <= 0.25 + 15 / 64  # a square of 4×4, and an empty rim of one position on two sides
    assert 0.2 < hidden.mean() < 0.45
    assert set(seen.unique().tolist()) == {0.0, 1.0}
    seen.sum().backward()  # what is seen passes its gradient back, what is hidden does not
    assert latents.grad.mean().item() == pytest.approx(1 - hidden.mean().item())


def test_shifting_moves_whole_latents():
    ramp = torch.arange(64.0).view(1, 1, 8, 8).expand(50, 1, 8, 8) + 1
    seen = shift_and_hide(ramp, 1.0, Chance(1))
    differences = {
        (value - place).item()
        for image in seen
        for value, place in zip(image.flatten(), ramp[0].flatten(), strict=True)
        if value
    }
    assert differences == {float(8 * y + x) for y in (-1, 0, 1) for x in (-1, 0, 1)}


def test_latents_have_unit_scale_and_noise_reaches_the_decoder():
    chain = tiny(64)
    network, channels = Autoencoder(chain), chain.generator.latent_channels
    latent = network.encoder(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert latent.shape == (2, channels, 8, 8)
    assert torch.allclose(latent.square().mean(dim=1), torch.ones(2, 8, 8), atol=1e-3)
    image = torch.rand(1, 3, 64, 64)
    still = network(image, torch.zeros(1, channels, 8, 8))
    assert still.shape == image.shape
    assert not torch.equal(still, network(image, torch.ones(1, channels, 8, 8)))


def test_average_follows_with_the_stated_half_life():
    module = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(0)
        ema = Ema(module, half_life=100)
        module.weight.fill_(1)
    ema.update(module, batch=100, images_seen=10**6)
    assert ema.module.weight.item() == pytest.approx(0.5)


def test_average_ramps_up_so_that_the_first_images_count():
    module = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(0)
        ema = Ema(module, half_life=10_000)
        module.weight.fill_(1)
    ema.update(module, batch=10, images_seen=100)
    assert ema.module.weight.item() == pytest.approx(1 - 0.5 ** (10 / 5))


def test_learning_rate_falls_to_a_twentieth():
    assert [learning_rate_factor(p, 0.5) for p in (0, 0.5, 0.75, 1)] == pytest.approx([1, 1, 0.525, 0.05])


def test_feed_is_balanced_and_determined_by_the_step(drawn_cells, tmp_path):
    manifest = read_manifest(drawn_cells)
    few = manifest.select([i for i, r in enumerate(manifest.records) if r.cell_type != "platelet" or i % 8 == 0])
    feed = Feed(FolderImages(few), few.cell_types, 32, 0, tmp_path)
    again = Feed(FolderImages(few), few.cell_types, 32, 0, tmp_path)
    types = torch.cat([feed.batch("s", step, 32)[1] for step in range(20)])
    assert all(150 < n < 280 for n in types.bincount().tolist())
    images, _ = feed.batch("s", 7, 8)
    assert torch.equal(images, again.batch("s", 7, 8)[0])
    assert not torch.equal(images, feed.batch("s", 8, 8)[0])
    assert images.min() >= -1
    assert images.max() <= 1
    assert feed.batch("s", 0, 2, crop=16)[0].shape == (2, 3, 16, 16)


def test_first_images_of_a_type_are_padded_with_white(drawn_cells):
    manifest = read_manifest(drawn_cells)
    feed = Feed(FolderImages(manifest.select([0])), manifest.cell_types, 32, 0, None)
    shown = feed.first(0, 3)
    assert shown.shape == (3, 3, 32, 32)
    assert not (shown[0] == 1).all()
    assert (shown[1:] == 1).all()


def test_a_checkpoint_restores_networks_and_optimizer(tmp_path):
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    checkpoint.save_checkpoint(tmp_path / "c", {"n": network}, {"o": optimizer}, {"images": 5})
    other = torch.nn.Linear(3, 2)
    restored = torch.optim.Adam(other.parameters(), lr=0.1)
    assert checkpoint.load_checkpoint(tmp_path / "c", {"n": other}, {"o": restored}) == {"images": 5}
    assert torch.equal(network.weight, other.weight)
    assert torch.equal(restored.state_dict()["state"][0]["exp_avg"], optimizer.state_dict()["state"][0]["exp_avg"])


def test_a_checkpoint_of_other_networks_is_refused(tmp_path):
    checkpoint.save_checkpoint(tmp_path / "c", {"n": torch.nn.Linear(3, 2)}, {}, {"images": 5})
    with pytest.raises(InputError, match="does not fit"):
        checkpoint.load_checkpoint(tmp_path / "c", {"n": torch.nn.Linear(4, 2)}, {})


def test_a_failed_write_leaves_the_older_checkpoint_whole(tmp_path, monkeypatch):
    path = tmp_path / "c"
    checkpoint.save_checkpoint(path, {"n": torch.nn.Linear(3, 2)}, {}, {"images": 5})

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(ScgError, match="No space left"):
        checkpoint.save_checkpoint(path, {"n": torch.nn.Linear(3, 2)}, {}, {"images": 9})
    assert checkpoint.read_progress(path) == {"images": 5}
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "c").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="not a readable checkpoint"):
        checkpoint.read_progress(tmp_path / "c")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_while_images_are_prepared_ends_with_a_sentence(drawn_cells, tmp_path, monkeypatch):
    manifest = read_manifest(drawn_cells)
    monkeypatch.setattr("syntheticcellgan.training.feed.open", lambda *_: open("/dev/full", "wb"), raising=False)  # noqa: SIM115
    with pytest.raises(ScgError, match="No space left"):
        Feed(FolderImages(manifest), manifest.cell_types, 32, 0, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_veil_hides_the_cell_and_spares_its_surroundings() -> None:
    noise = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.4
    image = (noise * torch.tensor([0.9, 0.7, 0.75])[None, :, None, None]).clone()  # grained, and not purple
    middle = slice(28, 36)
    image[:, :, middle, middle] = torch.tensor([-0.3, -0.7, 0.3])[None, :, None, None] + noise[:, :, middle, middle]
    near = nearness(image)
    assert near[:, :, 24:40, 24:40].min() == 1
    assert near[:, :, :8].max() < 0.05
    assert (nearness(image, torch.full((1,), 10.0)) >= near - 1e-3).all()
    seen = veil(image, near, cloud(image))
    inside = seen[:, :, 28:36, 28:36]
    assert torch.equal(inside[:, 0], inside[:, 2])
    assert torch.allclose(seen[:, :, :4], image[:, :, :4], atol=0.02)
    assert inside[:, 0].std() < 0.3 * image.mean(dim=1)[:, 28:36, 28:36].std()
    again = veil(seen, nearness(seen), cloud(seen))  # what is veiled is not veiled once more
    assert torch.allclose(again, seen, atol=0.02)


def test_a_disguise_changes_how_dark_a_cell_is_and_leaves_the_background() -> None:
    seen = torch.full((2, 1, 32, 32), 0.8)
    seen[:, :, 12:20, 12:20] = -0.4
    strong, none = torch.full((2, 1, 5, 5), 2.0), torch.zeros(2, 1, 5, 5)
    assert torch.allclose(disguise(seen, none, none), seen, atol=1e-3)
    dark = disguise(seen, strong, none)
    assert dark[0, :, 16, 16].mean() < seen[0, :, 16, 16].mean() - 0.2
    assert torch.allclose(dark[:, :, 0, 0], seen[:, :, 0, 0], atol=1e-3)
