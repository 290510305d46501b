"""A further type from few images: the old types stay, copies are seen, refusals are sentences, and a run goes on."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.command import scg
from tests.drawing import draw_cell

from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.adaptation import run as runs
from syntheticcellgan.adaptation.few import hold_out, read_few
from syntheticcellgan.adaptation.game import AdaptedGame
from syntheticcellgan.adaptation.guard import Yardstick
from syntheticcellgan.adaptation.pictures import copies_of, encode_turned, turned
from syntheticcellgan.adaptation.run import adapt
from syntheticcellgan.bundle import load_bundle, verify_bundle
from syntheticcellgan.bundle_training import training_networks
from syntheticcellgan.bundle_writing import write_bundle
from syntheticcellgan.card import render_card
from syntheticcellgan.config import (
    Adaptation,
    ChainConfig,
    GameAdaptation,
    GeneratorConfig,
    TranslatorConfig,
    from_dict,
)
from syntheticcellgan.errors import InputError
from syntheticcellgan.networks.autoencoder import Autoencoder
from syntheticcellgan.networks.generator import LowResolutionGenerator
from syntheticcellgan.networks.translator import Translator
from syntheticcellgan.pixels import to_tensor
from syntheticcellgan.training.loop import Interrupted

CHAIN = ChainConfig(
    ("lymphocyte", "monocyte"),
    GeneratorConfig(resolution=32, width=16, latent_size=8),
    TranslatorConfig(scale=4, width=8, blocks=1),
)
SHORT = replace(
    Adaptation(),
    checked=20,
    game=GameAdaptation(kimg=0.048, batch=4, turns=2, penalty_interval=4),
    translation=replace(Adaptation().translation, kimg=0.016, paired_kimg=0.008, batch=4, crop=64, penalty_interval=4),
)


def make(folder: Path, chain: ChainConfig = CHAIN, training: bool = True) -> Path:
    networks = LowResolutionGenerator(chain), Translator(chain)
    networks[0].decoder.load_state_dict(Autoencoder(chain).decoder.state_dict())
    players = training_networks(chain) if training else None
    card = {"name": "tiny", "data": {"licence": "CC0"}, "limits": ["one laboratory"]}
    write_bundle(folder, chain, *networks, card, Image.new("RGB", (8, 8)), training=players)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("b") / "tiny")


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 drawn cells of a type of its own, of four patients, in a plain folder with a table."""
    root = tmp_path_factory.mktemp("hairy cells")
    rng = np.random.default_rng(1)
    lines = ["file,cell_type,patient"]
    for i in range(24):
        draw_cell(rng.uniform(60, 115), rng.uniform(20, 55), rng).save(root / f"{i:02d}.png")
        lines.append(f"{i:02d}.png,hairy cell,P{i % 4}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def made(base: Path, few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapt(base, few, "HCL", tmp_path_factory.mktemp("run"), SHORT, licence="own")


def test_the_old_types_come_out_the_same_bit_for_bit(base, made):
    before, after = SyntheticCellGAN.load(base), SyntheticCellGAN.load(made)
    assert after.cell_types == ("lymphocyte", "monocyte", "hairy_cell")
    for truncation in (1.0, 0.4):
        ours, theirs = (c.generate(["lymphocyte", "monocyte"], 6, truncation=truncation) for c in (before, after))
        assert np.array_equal(ours.images, theirs.images)
        assert np.array_equal(ours.basic, theirs.basic)


def test_the_new_type_is_generated_and_has_learnt_something(made):
    chain = SyntheticCellGAN.load(made)
    cells = chain.generate("hairy cell", 4)
    assert cells.images.shape == (4, 128, 128, 3)
    for network in (chain.bundle.generator, chain.bundle.translator):
        own = [p for name, p in network.named_parameters() if name.endswith(("adapter.up", "adapter.shift"))]
        assert own
        assert all(p.abs().max() > 0 for p in own)
    # Among others, in any order, an image is the same; and there are forms between an old and the new type.
    mixed = list(chain.stream([("monocyte", 0), ("hairy_cell", 2), ("lymphocyte", 1)]))
    assert np.array_equal(mixed[1].image, cells.images[2])
    walk = chain.walk(("monocyte", 0), ("hairy_cell", 0), steps=3)
    assert np.array_equal(walk[2], cells.images[0])


def test_the_result_is_a_bundle_like_any_other_and_its_card_tells_all(base, made):
    bundle = verify_bundle(made)
    entry = bundle.card["training"]["adaptations"][0]
    assert entry["base"]["id"] == load_bundle(base).id
    assert entry["base"]["sha256"] == hashlib.sha256((base / "SHA256SUMS").read_bytes()).hexdigest()
    assert entry["images"] == {"train": 18, "validation": 6}
    assert entry["patients"] == {"train": 3, "validation": 1}
    assert entry["known_types_unchanged"] == 8
    assert entry["began_as"] in ("lymphocyte", "monocyte")
    text = render_card(bundle.card)
    assert "hairy_cell was added to tiny" in text
    assert entry["copies"]["sentence"] in text
    assert "lymphocyte, monocyte: CC0; hairy_cell: own" in text
    assert "learnt from 18 images only" in text


def test_a_second_type_is_added_to_the_first(made, few, tmp_path):
    again = adapt(made, _copied(few, tmp_path, "smudge_cell"), "smudge cell", tmp_path / "run", SHORT)
    bundle = verify_bundle(again)
    assert bundle.chain.adapted == ("hairy_cell", "smudge_cell")
    assert len(bundle.card["training"]["adaptations"]) == 2
    names = ["lymphocyte", "hairy_cell"]
    ours, theirs = (SyntheticCellGAN.load(p).generate(names, 3, truncation=0.7).images for p in (made, again))
    assert np.array_equal(ours, theirs)


def test_a_blind_generator_is_left_alone(few, tmp_path):
    blind = replace(CHAIN, generator=replace(CHAIN.generator, mode="basic"))
    folder = make(tmp_path / "blind", blind)
    bundle = verify_bundle(adapt(folder, few, "hairy_cell", tmp_path / "run", SHORT))
    assert not any("adapter" in name for name, _ in bundle.generator.named_parameters())
    assert bundle.translator.quarter_blocks[0].modulation.adapter is not None


def test_an_interrupted_run_goes_on_to_the_same_end(base, few, made, tmp_path):
    out = tmp_path / "run"
    calls = []

    def report(stage, images, *_):
        calls.append(stage)
        if len(calls) in (5, 14):  # once in each stage
            os.kill(os.getpid(), signal.SIGINT)

    for _ in range(2):
        with pytest.raises(Interrupted, match="goes on"):
            adapt(base, few, "HCL", out, SHORT, report=report)
    again = adapt(base, few, "HCL", out, SHORT, report=report)
    assert {"low-resolution", "translation"} == set(calls)
    for name in ("generator.safetensors", "translator.safetensors"):
        assert (again / name).read_bytes() == (made / name).read_bytes()


def test_a_finished_run_is_left_alone_and_another_one_is_refused(base, few, made):
    written = (made / "SHA256SUMS").stat().st_mtime_ns
    assert adapt(base, few, "HCL", made.parent, SHORT) == made
    assert (made / "SHA256SUMS").stat().st_mtime_ns == written
    with pytest.raises(InputError, match="begun with another settings"):
        adapt(base, few, "HCL", made.parent, replace(SHORT, seed=1))


def test_copies_are_seen_and_the_state_is_not_kept(base, few, tmp_path, monkeypatch):
    """A generator that gives training images back: nothing of it is kept, and the card would say so."""
    monkeypatch.setattr(AdaptedGame, "samples", lambda self, count: _planted(self, count))
    said: list[str] = []
    folder = adapt(base, few, "HCL", tmp_path / "run", SHORT, say=said.append)
    assert any("Too close to the training images" in sentence for sentence in said)
    assert any("the form of" in sentence for sentence in said)
    generator = load_bundle(folder).generator
    assert all(p.abs().max() == 0 for name, p in generator.named_parameters() if name.endswith("adapter.up"))


def _planted(game: AdaptedGame, count: int) -> torch.Tensor:
    return to_tensor(game.copies[0][np.arange(count) % len(game.copies[0])])


def test_the_yardstick_tells_copies_from_new_cells():
    rng = np.random.default_rng(5)
    cells = [np.asarray(draw_cell(rng.uniform(70, 110), rng.uniform(30, 60), rng)) for _ in range(120)]
    training, held_out, new = np.stack(cells[:30]), np.stack(cells[30:40]), np.stack(cells[40:])
    yardstick = Yardstick.of(training, held_out)
    assert not yardstick.judge(new).too_close
    half = new.copy()
    half[:40] = [turned(training[i % 30], 77.0, bool(i % 2)) for i in range(40)]
    found = yardstick.judge(half)
    assert found.too_close
    assert found.nearer_than_all > 10 * found.expected_nearer_than_all
    assert "Too close" in found.sentence
    assert replace(found, p=0.02).sentence.startswith("Perhaps closer than real cells are")
    assert replace(found, p=0.2).sentence.startswith("No closer than real cells are")


def test_a_turned_cell_keeps_its_middle_and_has_no_empty_corners():
    image = np.asarray(draw_cell(90, 60, np.random.default_rng(0)))
    assert np.array_equal(turned(image, 0, False), image)
    assert np.array_equal(turned(image, 0, True), image[:, ::-1])
    tilted = turned(image, 45, False)
    assert tilted[[0, 0, -1, -1], [0, -1, 0, -1]].min() > 100
    middle = slice(48, 80)
    assert abs(float(tilted[middle, middle].mean()) - float(image[middle, middle].mean())) < 3


def test_turned_images_become_latents():
    autoencoder = Autoencoder(CHAIN)
    images = np.zeros((3, 128, 128, 3), np.uint8)
    assert encode_turned(images, autoencoder, 4, 2, 0).shape == (12, 16, 4, 4)
    assert copies_of(images, autoencoder, 4).shape == (3, 32, 32, 3)


def test_patients_are_held_out_whole_where_there_are_enough(few):
    found = read_few(few, "hairy_cell", 20)
    split = hold_out(found, SHORT)
    assert split.unit == "patient"
    held = {r.patient for r in split.part(found, "validation").records}
    assert len(held) == 1
    assert not held & {r.patient for r in split.part(found, "train").records}
    two = replace(found, records=tuple(replace(r, patient="P1" if r.patient == "P1" else "P0") for r in found.records))
    assert hold_out(two, SHORT).unit == "image"


def test_refusals_are_sentences(base, few, tmp_path, capsys, drawn_cells):
    out = tmp_path / "run"

    def refused(*arguments, bundle=base) -> str:
        code, said = scg(capsys, "adapt", bundle, *arguments, "--out", out)
        assert code == 2, said
        assert not out.exists()
        return said

    alone = tmp_path / "alone"
    alone.mkdir()
    for i in range(19):
        draw_cell(80, 60, np.random.default_rng(i)).save(alone / f"{i}.png")
    (alone / "twice.png").write_bytes((alone / "0.png").read_bytes())
    assert "19 images of odd_cell (20 files, some of them twice); at least 20" in refused(
        alone, "--cell-type", "odd cell"
    )
    assert "check the name" in refused(tmp_path / "nowhere", "--cell-type", "odd cell")
    assert "knows monocyte already" in refused(_copied(few, tmp_path, "monocyte"), "--cell-type", "MO")
    assert "holds no cells of the type odd_cell; it holds lymphocyte" in refused(drawn_cells, "--cell-type", "odd cell")
    assert "is no name" in refused(few, "--cell-type", "…")
    bare = make(tmp_path / "bare", training=False)
    assert "carries no training.safetensors" in refused(few, "--cell-type", "hairy cell", bundle=bare)


def _copied(few: Path, tmp_path: Path, cell_type: str) -> Path:
    folder = tmp_path / f"of {cell_type}"
    (folder / cell_type).mkdir(parents=True)
    for path in few.glob("*.png"):
        (folder / cell_type / path.name).write_bytes(path.read_bytes())
    return folder


def test_the_command_makes_a_bundle_from_a_plain_folder(base, few, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("syntheticcellgan.config.Adaptation", lambda seed: replace(SHORT, seed=seed))
    plain = tmp_path / "plain"
    plain.mkdir()
    for path in few.glob("*.png"):
        (plain / path.name).write_bytes(path.read_bytes())
    out = tmp_path / "run"
    code, said = scg(
        capsys, "adapt", base, plain, "--cell-type", "hairy cell", "--out", out, "--effort", "0.5", "--threads", "1"
    )
    assert code == 0, said
    assert f"The bundle is {out / 'bundle'}" in said
    assert "single images were held out, not patients" in said
    code, said = scg(
        capsys, "generate", out / "bundle", "--cell-type", "hairy_cell", "--count", "2", "--out", tmp_path / "c"
    )
    assert code == 0, said
    assert runs.make_plan(base, plain, "hairy cell", out, _of(out)).start in ("lymphocyte", "monocyte")


def _of(out: Path) -> Adaptation:
    settings: Adaptation = from_dict(Adaptation, json.loads((out / "adapt.json").read_text())["settings"])
    return settings


def test_training_can_begin_with_an_adapted_bundle(made):
    from syntheticcellgan.training.start import Start

    bundle = load_bundle(made)
    chain = replace(CHAIN, cell_types=("hairy_cell", "monocyte"))
    generator = LowResolutionGenerator(chain)
    modules = {
        "generator": generator,
        "average": LowResolutionGenerator(chain),
        "critic": training_networks(chain)["critic"],
    }
    Start(made, chain).fill("low-resolution", modules)
    assert torch.equal(generator.types.weight[0], bundle.generator.types.weight[2])
    assert torch.equal(generator.start.weight, bundle.generator.start.weight)


def test_the_graph_makes_the_adapted_type(made, tmp_path):
    pytest.importorskip("onnxscript", reason="pip install 'syntheticcellgan[onnx]' for the ONNX export")
    pytest.importorskip("onnxruntime", reason="pip install 'syntheticcellgan[onnx]' for the ONNX export")
    from syntheticcellgan.onnx_export import MEAN_TOLERANCE, export_onnx

    assert export_onnx(load_bundle(made), tmp_path / "cells.onnx") <= MEAN_TOLERANCE  # one cell of each type compared


def test_wanted_features_of_the_known_types_are_taken_over(taught, few, tmp_path):
    before = SyntheticCellGAN.load(taught)
    after = SyntheticCellGAN.load(verify_bundle(adapt(taught, few, "HCL", tmp_path / "run", SHORT)).path)
    wanted = {"nucleus_size": "large"}
    ours, theirs = (chain.generate("monocyte", 4, wanted=wanted) for chain in (before, after))
    assert ours.candidates == theirs.candidates
    assert np.array_equal(ours.images, theirs.images)
    with pytest.raises(InputError, match="No cell of the type hairy cell"):
        after.generate("hairy_cell", wanted=wanted)
