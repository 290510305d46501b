"""`scg train`: from a folder of labelled cells to a bundle."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from syntheticcellgan.commands.training_bars import TrainingBars, duration
from syntheticcellgan.data.splits import PARTS
from syntheticcellgan.errors import InputError

if TYPE_CHECKING:
    from syntheticcellgan.config import TrainingConfig
    from syntheticcellgan.training.data_set import Data
    from syntheticcellgan.training.hardware import Hardware
    from syntheticcellgan.training.run import Estimate, Run
    from syntheticcellgan.training.run_folder import StageName


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Run folder; the same command again resumes."
)
@click.option(
    "--mode", type=click.Choice(["typed", "basic"]), help="Whether the low-resolution generator knows the type. [typed]"
)
@click.option("--resolution", type=click.Choice(["32", "64", "128"]), help="Side of the basic cell image. [64]")
@click.option("--size", type=click.Choice(["128", "256", "512"]), help="Side of the finished image. [256]")
@click.option("--kimg", type=float, help="Thousands of images that the low-resolution stage sees.")
@click.option("--translator-kimg", type=float, help="Thousands of images that the translator sees.")
@click.option(
    "--hours", type=float, help="Choose the length of all stages so that the run takes about so long on this machine."
)
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="JSON file of settings.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="One setting, e.g. low_resolution.objective=wgan-gp."
)
@click.option(
    "--start-from", metavar="BUNDLE", help="Begin with this bundle's weights, for the same types or for others."
)
@click.option("--seed", type=click.IntRange(0), help="Decides split, weights and every draw. [0]")
@click.option(
    "--stage",
    type=click.Choice(["all", "autoencoder", "low-resolution", "translation", "refinement"]),
    default="all",
    show_default=True,
)
@click.option("--threads", type=click.IntRange(1), help="CPU threads. [all that this process may use]")
@click.option("--devices", type=click.IntRange(1), help="GPUs, or CPU processes, of each node. [as started, or 1]")
@click.option("--nodes", type=click.IntRange(1), help="Machines, each under torchrun or srun. [as started, or 1]")
@click.option("--name", help="Name of the bundle. [name of the data folder]")
@click.option("--licence", default="not stated", help="Licence of the training images, for the card.")
@click.option(
    "--attribution", multiple=True, metavar="TEXT", help="Whom the card must credit for the images; can be repeated."
)
@click.option("--dry-run", is_flag=True, help="Say what would happen, how long and how much memory; write nothing.")
def train(
    data: Path,
    out: Path,
    stage: str,
    threads: int | None,
    devices: int | None,
    nodes: int | None,
    name: str | None,
    licence: str,
    attribution: tuple[str, ...],
    dry_run: bool,
    **options: Any,
) -> None:
    """Train all stages on DATA: a folder with one sub-folder per cell type, or with a labels.csv, or with WebDataset shards
    (*.tar; a pattern of their names in quotes will do).
    """
    from syntheticcellgan.training import run as runs
    from syntheticcellgan.training.hardware import find_hardware, use_threads
    from syntheticcellgan.training.launching import is_helper, numbers

    devices, nodes = numbers(devices, nodes)
    use_threads(threads, devices)
    if is_helper():
        if not dry_run:
            _help(data, out, stage, devices, nodes)
        return
    kept = runs.read_run(out) if (out / "run.json").exists() else None
    run, prepared, known = _run_settings(data, out, options, kept, find_hardware())
    _announce(run, prepared)
    if dry_run:
        guess = runs.estimate(run, prepared, known)
        click.echo(
            "; ".join(f"{stage} {speed:.1f} images/s" for stage, speed in guess.speeds.items()) + ". "
            f"The whole run should take about {duration(guess.seconds)} and {guess.memory / 2**30:.1f} GiB of memory. "
            "Nothing was written."
        )
        return
    run = runs.open_run(out, run)
    prepared.keep(out)
    with TrainingBars() as progress:
        runs.train(run, prepared, out, _stages(stage), progress.report, devices, nodes)
    if runs.finished(run, out):
        from syntheticcellgan.training.finish import make_bundle

        fingerprints = _fingerprints(prepared, out)
        bundle = make_bundle(run, prepared, out, name or prepared.name, licence, fingerprints, attribution)
        _attributes(prepared, bundle)
        test = prepared.test_folder(out)
        if test is not None:
            click.echo(f"Cells of the test part, for scg evaluate --real: {test}")
        place = shlex.quote(str(bundle))
        click.echo(f"The bundle is {bundle}. Try: scg generate {place} --all --count 16 --out cells")
    elif stage == "all":
        click.echo("Not all images were seen; the same command goes on.")
    else:
        click.echo(f"Stage {stage} is as far as it can go; run the other stages to complete the bundle.")


def _help(data: Path, out: Path, stage: str, devices: int, nodes: int) -> None:
    """What every process but the first does: as that one has decided, and in silence."""
    from syntheticcellgan.training import run as runs
    from syntheticcellgan.training.data_set import prepare_data
    from syntheticcellgan.training.launching import wait_for_start

    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the first process says it all
    wait_for_start(out)
    run = runs.read_run(out)
    runs.train(run, prepare_data(data, run.training, out), out, _stages(stage), None, devices, nodes)


def _stages(stage: str) -> tuple[StageName, ...] | None:
    return None if stage == "all" else (cast("StageName", stage),)


def _run_settings(
    data: Path, out: Path, options: Mapping[str, Any], kept: Run | None, hardware: Hardware
) -> tuple[Run, Data, Estimate | None]:
    """The run that the options describe, and what was measured for --hours; without any option an existing run keeps
    its own settings.
    """
    from dataclasses import replace

    from syntheticcellgan.config import (
        ChainConfig,
        TrainingConfig,
        check_chain,
        check_training,
        from_dict,
        lengthened,
        to_dict,
    )
    from syntheticcellgan.training import run as runs

    given = {key: value for key, value in options.items() if value not in (None, ())}
    if kept is not None and not given:
        return kept, _read_data(data, kept.training, out), None
    tree: dict[str, Any] = {}
    if "config_file" in given:
        tree = _read_config(given["config_file"])
    if "mode" in given:
        _put(tree, "generator.mode", given["mode"])
    if "resolution" in given:
        _put(tree, "generator.resolution", int(given["resolution"]))
    if "size" in given:
        resolution = int(tree.get("generator", {}).get("resolution", 64))
        if int(given["size"]) not in (2 * resolution, 4 * resolution):
            raise InputError(
                f"--size {given['size']} is not 2 or 4 times the resolution of {resolution}; change one of them."
            )
        _put(tree, "translator.scale", int(given["size"]) // resolution)
    if "kimg" in given:
        _put(tree, "low_resolution.kimg", given["kimg"])
    if "translator_kimg" in given:
        _put(tree, "translation.kimg", given["translator_kimg"])
    if "seed" in given:
        _put(tree, "seed", given["seed"])
    for setting in given.get("settings", ()):
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: write KEY=VALUE, for example --set low_resolution.batch=32.")
        _put(tree, key, _value(value))
    networks = {key: tree.pop(key) for key in ("generator", "translator") if key in tree}
    start = given.get("start_from", "")
    if start:
        from syntheticcellgan.bundle import load_bundle

        known = to_dict(load_bundle(start).chain)
        del known["generator"]["spread"]  # the run's own, low_resolution.spread, will be the bundle's
        networks = {key: known[key] | networks.get(key, {}) for key in ("generator", "translator")}
        if networks["generator"] == known["generator"]:  # latents are the same, so it knows the types already
            tree.setdefault("low_resolution", {}).setdefault("label_fade_kimg", 0.0)
    source = "--set or --config"
    training = from_dict(TrainingConfig, tree, source)
    prepared = _read_data(data, training, out)
    chain = from_dict(ChainConfig, {"cell_types": prepared.cell_types, **networks}, source)
    run = runs.Run(
        check_chain(chain, source), check_training(training, chain, source, start), hardware, str(data), start
    )
    if "hours" not in given:
        return run, prepared, None
    if kept:
        return replace(run, training=kept.training), prepared, None
    guess = runs.estimate(run, prepared)
    # Of too few hours a stage would get no image, and nothing would have been learnt.
    shared_out = lengthened(training, given["hours"] * 3600 / guess.seconds)
    return replace(run, training=check_training(shared_out, chain, "--hours", start)), prepared, guess


def _read_data(data: Path, training: TrainingConfig, out: Path) -> Data:
    from syntheticcellgan.commands.bars import shown_progress
    from syntheticcellgan.training.data_set import prepare_data

    with shown_progress("Bytes of shards looked through", None) as progress:
        return prepare_data(data, training, out, progress)


def _fingerprints(data: Data, out: Path) -> bytes | None:
    """Fingerprints of the training images, so that copies can be found later without them; None for a tiny data set."""
    from syntheticcellgan.evaluation.copies import Fingerprints

    path = out / "fingerprints.npz"
    if not path.exists():
        try:
            Fingerprints.of(*data.described()).save(path)
        except InputError as error:
            click.echo(f"No fingerprints were stored: {error}", err=True)
            return None
    return path.read_bytes()


def _attributes(data: Data, folder: Path) -> None:
    """Columns of labels.csv beyond the usual ones become features by which cells can be chosen, where that can be learnt."""
    from syntheticcellgan.training.data_set import FolderData

    if not isinstance(data, FolderData) or not any(record.attributes for record in data.manifest.records):
        return
    from syntheticcellgan.attributes.fitting import fit_attributes
    from syntheticcellgan.attributes.labels import labelled_cells
    from syntheticcellgan.bundle import load_bundle
    from syntheticcellgan.bundle_writing import add_attributes

    bundle = load_bundle(folder)
    if bundle.attributes is not None:
        return
    train = set(data.split.train)
    own = [record.file in train for record in data.manifest.records]
    try:
        cells = labelled_cells(data.manifest, bundle.chain.cell_types, own, None)
        fitted = fit_attributes(bundle, cells, f"labels of {data.manifest.root.name}", "as the images")
    except InputError as error:
        click.echo(f"No attributes were learnt: {error}", err=True)
        return
    add_attributes(folder, fitted.attributes)
    names = ", ".join(fitted.attributes.names())
    click.echo(f"Cells can be chosen by {names} (scg generate --with NAME=VALUE).")


def _put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in nested tables."""
    *path, last = key.split(".")
    for part in path:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise InputError(f"--set {key}: “{part}” is a setting and not a table of settings.")
    tree[last] = value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read_config(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"--config {path} cannot be read as JSON ({error}).") from error
    if not isinstance(values, dict):
        raise InputError(f"--config {path} should hold a table of settings.")
    return values


def _announce(run: Run, data: Data) -> None:
    """Say what will be learnt from what, on which machine."""
    low, high, refinement = run.training.low_resolution, run.training.translation, run.training.refinement
    counts = data.counts()
    click.echo(f"{sum(counts.values())} images: " + ", ".join(f"{t} {n}" for t, n in counts.items()))
    parts = {part: sum(data.counts(part).values()) for part in PARTS}
    click.echo("Parts: " + ", ".join(f"{part} {n}" for part, n in parts.items()) + f" (by {data.unit})")
    click.echo(
        f"{run.chain.generator.mode}, {run.chain.generator.resolution} px → {run.chain.output_size} px; "
        f"low resolution {low.kimg:g} kimg ({low.objective}), translator {high.kimg:g} kimg, refinement {refinement.kimg:g} kimg; "
        f"{run.hardware.name}, {run.hardware.precision}"
    )
