"""Beginning with a bundle's weights: the same networks, types matched by name, and the card says so."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image

from syntheticcellgan.bundle import load_bundle, verify_bundle
from syntheticcellgan.bundle_training import read_training, training_networks
from syntheticcellgan.bundle_writing import write_bundle
from syntheticcellgan.card import render_card
from syntheticcellgan.cli import main
from syntheticcellgan.config import ChainConfig, GeneratorConfig, TranslatorConfig
from syntheticcellgan.errors import InputError
from syntheticcellgan.networks.critic import Critic
from syntheticcellgan.networks.generator import LowResolutionGenerator
from syntheticcellgan.networks.translator import Translator
from syntheticcellgan.training.start import Start, keep_record, read_record

STAGES = ("autoencoder", "low_resolution", "translation")
CHAIN = ChainConfig(
    ("lymphocyte", "monocyte"),
    GeneratorConfig(resolution=32, width=16, latent_size=8),
    TranslatorConfig(scale=4, width=8, blocks=1),
)


@pytest.fixture
def bundle(tmp_path):
    def write(training=True):
        folder = tmp_path / f"bundle-{training}"
        networks = LowResolutionGenerator(CHAIN, 50), Translator(CHAIN, 51)
        players = training_networks(CHAIN) if training else None
        card = {"name": "tiny", "training": {"machine": "a PC", "stages": {}}}
        write_bundle(folder, CHAIN, *networks, card, Image.new("RGB", (8, 8)), training=players)
        return folder

    return write


def test_training_networks_are_read_back(bundle):
    folder = bundle()
    verify_bundle(folder)
    loaded = load_bundle(folder)
    weights = read_training(loaded.training, CHAIN, folder)
    assert set(weights) == {"autoencoder", "copy_critic", "critic", "patch_critic"}
    for name, network in training_networks(CHAIN).items():
        for key, tensor in network.state_dict().items():
            assert torch.equal(weights[name][key], tensor.half().float())


def test_a_stage_begins_with_the_bundles_players(bundle):
    generator, average, critic = LowResolutionGenerator(CHAIN), LowResolutionGenerator(CHAIN), Critic(CHAIN, 99)
    own_decoder = generator.decoder.start.weight.clone()
    Start(bundle(), CHAIN).fill("low-resolution", {"generator": generator, "average": average, "critic": critic})
    wanted = LowResolutionGenerator(CHAIN, 50)
    for network in (generator, average):
        assert torch.equal(network.start.weight, wanted.start.weight.half().float())
    assert torch.equal(critic.value.weight, Critic(CHAIN).value.weight.half().float())
    assert torch.equal(generator.decoder.start.weight, own_decoder)


def test_types_are_matched_by_name_and_a_new_one_is_the_mean(bundle):
    chain = replace(CHAIN, cell_types=("hairy_cell", "monocyte"))
    translator = Translator(chain)
    modules = {
        "translator": translator,
        "average": Translator(chain),
        "critic": training_networks(chain)["patch_critic"],
    }
    Start(bundle(), chain).fill("translation", modules)
    known = Translator(CHAIN, 51).types.weight.half().float()
    assert torch.equal(translator.types.weight[1], known[1])
    assert torch.allclose(translator.types.weight[0], known.mean(dim=0))


def test_a_bundle_without_critics_still_gives_what_it_has(bundle):
    critic = Critic(CHAIN, 99)
    before = critic.value.weight.clone()
    modules = {"generator": LowResolutionGenerator(CHAIN), "average": LowResolutionGenerator(CHAIN), "critic": critic}
    Start(bundle(training=False), CHAIN).fill("low-resolution", modules)
    assert torch.equal(critic.value.weight, before)
    assert not torch.equal(modules["generator"].start.weight, LowResolutionGenerator(CHAIN).start.weight)


def test_in_the_other_mode_generator_and_critic_begin_with_chance(bundle):
    blind = replace(CHAIN, generator=replace(CHAIN.generator, mode="basic"))
    start = Start(bundle(), blind)
    generator, critic = LowResolutionGenerator(blind), Critic(blind)
    before = generator.start.weight.clone()
    start.fill("low-resolution", {"generator": generator, "average": LowResolutionGenerator(blind), "critic": critic})
    assert torch.equal(generator.start.weight, before)
    translator = Translator(blind)
    modules = {
        "translator": translator,
        "average": Translator(blind),
        "critic": training_networks(blind)["patch_critic"],
    }
    start.fill("translation", modules)
    assert torch.equal(translator.stem.weight, Translator(CHAIN, 51).stem.weight.half().float())


def test_where_latents_are_of_another_kind_the_translator_alone_is_taken(bundle):
    finer = replace(CHAIN, generator=replace(CHAIN.generator, latent_channels=32))
    start, networks = Start(bundle(), finer), training_networks(finer)
    autoencoder, critic = networks["autoencoder"], networks["copy_critic"]
    before = {name: value.clone() for name, value in autoencoder.state_dict().items()}
    start.fill("autoencoder", {"autoencoder": autoencoder, "average": autoencoder, "critic": critic})
    assert all(torch.equal(value, before[name]) for name, value in autoencoder.state_dict().items())
    translator = Translator(finer)
    modules = {"translator": translator, "average": Translator(finer), "critic": networks["patch_critic"]}
    start.fill("translation", modules)
    assert torch.equal(translator.stem.weight, Translator(CHAIN, 51).stem.weight.half().float())


def test_a_translator_of_another_shape_is_refused(bundle):
    wider = replace(CHAIN, translator=replace(CHAIN.translator, width=16))
    with pytest.raises(InputError, match="translator has other settings"):
        Start(bundle(), wider)


def test_the_card_tells_the_whole_history(bundle, tmp_path):
    keep_record(str(bundle()), tmp_path)
    record = read_record(tmp_path)
    assert record is not None
    text = render_card({"name": "next", "training": {"start": record}})
    assert f"Began with the weights of tiny ({load_bundle(tmp_path / 'bundle-True').id}; a PC)" in text
    assert read_record(tmp_path / "elsewhere") is None


def test_a_run_from_a_bundle_of_other_types_makes_a_bundle(bundle, drawn_cells, tmp_path, capsys):
    out, folder = tmp_path / "run", bundle()
    short = [f"--set={stage}.{setting}" for stage in STAGES for setting in ("kimg=0.008", "batch=4")]
    arguments = ["train", str(drawn_cells), "--out", str(out), "--start-from", str(folder), *short]
    arguments += ["--set=translation.paired_kimg=0.004", "--set=translation.crop=64", "--threads", "1"]
    arguments += ["--set=refinement.kimg=0"]
    arguments += ["--licence", "CC0", "--attribution", "Credit: one.", "--attribution", "Changes: none."]
    assert main(arguments) == 0, capsys.readouterr().err
    made = load_bundle(out / "bundle")
    assert made.chain.cell_types == ("lymphocyte", "monocyte", "platelet")
    assert made.chain.generator == replace(CHAIN.generator, spread=1.1)
    assert made.card["training"]["start"]["id"] == load_bundle(folder).id
    assert "- Licence of the training images: CC0\n- Credit: one.\n- Changes: none.\n" in render_card(made.card)
    assert made.card["training"]["settings"]["low_resolution"]["label_fade_kimg"] == 0
    with pytest.raises(SystemExit, match="2"):
        main(arguments[:6])  # the same folder with other settings
    assert "begun with other settings" in capsys.readouterr().err


def test_stages_without_images_keep_the_bundles_weights(bundle, drawn_cells, tmp_path, capsys):
    out, folder = tmp_path / "run", bundle()
    arguments = ["train", str(drawn_cells), "--out", str(out), "--threads", "1", "--set=refinement.kimg=0.004"]
    arguments += [f"--set=refinement.{setting}" for setting in ("batch=4", "crop=64", "compared=8", "remembered=2")]
    arguments += [f"--set={stage}.kimg=0" for stage in STAGES]
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "autoencoder.kimg must be above 0; with --start-from 0 keeps the bundle's weights" in capsys.readouterr().err
    assert main([*arguments, "--start-from", str(folder)]) == 0, capsys.readouterr().err
    made, known = load_bundle(out / "bundle"), load_bundle(folder)
    assert torch.equal(made.generator.start.weight, known.generator.start.weight)
    assert torch.equal(made.generator.decoder.start.weight, known.generator.decoder.start.weight)
    assert not torch.equal(made.translator.stem.weight, known.translator.stem.weight)
    assert made.card["training"]["stages"]["refinement"]["images_seen_at_best"] == 4
    assert made.card["training"]["stages"]["translation"]["images_seen_at_best"] == 0


def test_an_unknown_bundle_is_named_before_anything_is_written(drawn_cells, tmp_path, capsys):
    out = tmp_path / "run"
    with pytest.raises(SystemExit, match="2"):
        main(["train", str(drawn_cells), "--out", str(out), "--start-from", "pcb-256"])
    assert "pbc-256" in capsys.readouterr().err
    assert not out.exists()
