"""`scg data`: check, import or split a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syntheticcellgan.cell_types import nearest
from syntheticcellgan.commands.bars import shown_progress
from syntheticcellgan.errors import InputError, ScgError

if TYPE_CHECKING:
    from syntheticcellgan.data.manifest import Manifest
    from syntheticcellgan.data.splits import Split


class _Verbs(click.Group):
    """Proposes the nearest for a misspelt verb."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            near = nearest(args[0], self.commands)
            hint = f"Did you mean “{near}”?" if near else f"There are {', '.join(self.commands)}."
            raise click.UsageError(f"There is no command “data {args[0]}”. {hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Verbs)
def data() -> None:
    """Check, import or split a data set: a folder with one sub-folder per cell type, or with a labels.csv."""


@data.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "report_file", type=click.Path(path_type=Path), help="Write the whole report there, as JSON.")
@click.option("--sheet", type=click.Path(path_type=Path), help="Write a contact sheet there, as PNG.")
@click.option(
    "--per-type", type=click.IntRange(1, 100), default=8, show_default=True, help="Images a row in the sheet."
)
@click.option("--turned", is_flag=True, help="Also find duplicates that were turned or mirrored (slower).")
def check(folder: Path, report_file: Path | None, sheet: Path | None, per_type: int, turned: bool) -> None:
    """Count, open and compare all images in FOLDER; say what to mend.

    Of a generation in shards every image is compared with what was asked for; exit code 1 if it is not whole. Other
    WebDataset shards are looked through as training would, up to the first thing that it would refuse.
    """
    from rich.console import Console

    from syntheticcellgan.data.check_view import check_table
    from syntheticcellgan.data.checks import check as check_data
    from syntheticcellgan.data.contact_sheet import contact_sheet
    from syntheticcellgan.data.manifest import read_manifest
    from syntheticcellgan.data.shard_index import has_shards

    if (folder / "generation.json").is_file() and _check_shards(folder, report_file):
        return
    if has_shards(folder):
        _look_through_shards(folder, report_file)
        return
    manifest = read_manifest(folder)
    with shown_progress("Reading", len(manifest)) as progress:
        report = check_data(manifest, turned=turned, progress=progress)
    Console().print(check_table(report))
    _keep_report(report.to_dict(), report_file)
    if sheet is not None:
        contact_sheet(manifest, sheet, per_type)
        click.echo(f"Contact sheet: {sheet}")


def _check_shards(folder: Path, report_file: Path | None) -> bool:
    """Check a generation in shards; False if the folder is none.

    Raises:
        ScgError: images are missing or damaged.
    """
    from syntheticcellgan.shards.checking import check_shards
    from syntheticcellgan.shards.plan import has_shards, read_plan

    if not has_shards(folder):
        return False
    with shown_progress("Checking shards", read_plan(folder).shards) as progress:
        report = check_shards(folder, progress)
    _keep_report(report.to_dict(), report_file)
    for name, count in report.counts.items():
        click.echo(f"  {name:28} {count:>15,}")
    for _, reason in report.damaged[:10]:
        click.echo(f"! {reason} Delete the file.")
    for name in report.foreign[:10]:
        click.echo(f"! {folder / name} does not belong here; move it elsewhere.")
    said = f"{report.images:,} of {report.expected:,} images in {report.shards:,} shards"
    if not report.whole:
        raise ScgError(
            f"{folder}: {said}: {report.missing_count:,} shards are missing, {report.damaged_count:,} damaged. The same "
            "scg generate command makes the missing ones."
        )
    click.echo(f"{said}, each with the seed and SHA-256 that it should have. Nothing to mend.")
    return True


def _look_through_shards(folder: Path, report_file: Path | None) -> None:
    """What training would find in shards of strangers."""
    from syntheticcellgan.config import TrainingConfig
    from syntheticcellgan.data.shard_index import index_shards
    from syntheticcellgan.data.splits import PARTS

    training = TrainingConfig()
    with shown_progress("Bytes looked through", None) as progress:
        index = index_shards(folder, training.validation_fraction, training.test_fraction, training.seed, progress)
    counts, parts = index.counts(), {part: sum(index.counts(part).values()) for part in PARTS}
    _keep_report({"shards": len(index.shards), "images": len(index), "counts": counts, "parts": parts}, report_file)
    for name, count in counts.items():
        click.echo(f"  {name:28} {count:>15,}")
        if count < training.minimum_images:
            click.echo(f"! {name}: training needs at least {training.minimum_images} images of a type.")
    divided = ", ".join(f"{part} {count:,}" for part, count in parts.items())
    click.echo(f"{len(index):,} images in {len(index.shards):,} shards; parts by {index.unit}: {divided}.")


def _keep_report(report: dict[str, Any], path: Path | None) -> None:
    if path is None:
        return
    try:
        path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise ScgError(f"{path} cannot be written ({error.strerror}); choose another place.") from None
    click.echo(f"Report: {path}")


@data.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new or empty folder.")
@click.option(
    "--layout",
    metavar="NAME",
    help="bloodmnist, deepapl, lmu, mll23, pbc, raabin, webdataset or huggingface. [recognised by itself]",
)
def import_(source: Path, out: Path, layout: str | None) -> None:
    """Turn a public set (SOURCE: its folder, .zip or .npz) into a data set of this package."""
    from syntheticcellgan.data.importers import import_dataset

    with shown_progress("Importing", None) as progress:
        report = import_dataset(source, out, layout=layout, progress=progress)
    click.echo(f"{report.images:,} images ({report.layout}) in {out}:")
    for name, count in report.counts.items():
        click.echo(f"  {name:28} {count:>7,}")
    if report.untyped:
        click.echo(f"{report.untyped:,} images have no cell type (artefacts, unidentified) and were left out.")
    if report.ignored:
        click.echo(f"{report.ignored:,} image files are not part of the layout {report.layout} and were left out.")
    if report.unreadable:
        click.echo(f"{len(report.unreadable):,} images cannot be read and were left out; see {out / 'import.json'}.")


@data.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON file to write; it must not exist.")
@click.option("--validation", type=float, default=0.05, show_default=True, help="Share for choosing the best state.")
@click.option("--test", type=float, default=0.20, show_default=True, help="Share never seen in training.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides which images go where.")
def split(folder: Path, out: Path, validation: float, test: float, seed: int) -> None:
    """Divide FOLDER into training, validation and test parts: patients and duplicates stay whole."""
    from syntheticcellgan.data.manifest import read_manifest
    from syntheticcellgan.data.splits import split_manifest, write_split

    if out.exists():
        raise InputError(f"{out} exists already; a split says what was held out, so give another name or delete it.")
    manifest = read_manifest(folder)
    made = split_manifest(manifest, validation=validation, test=test, seed=seed)
    write_split(made, out)
    _show_split(manifest, made)
    click.echo(f"Split by {made.unit}, seed {seed}: {out}")


def _show_split(manifest: Manifest, split: Split) -> None:
    from syntheticcellgan.data.splits import PARTS

    parts = {part: split.part(manifest, part).counts for part in PARTS}
    click.echo(f"{'':28} " + " ".join(f"{part:>10}" for part in PARTS))
    for name in manifest.cell_types:
        click.echo(f"{name:28} " + " ".join(f"{parts[part].get(name, 0):>10,}" for part in PARTS))
    for part in PARTS:
        absent = [name for name in manifest.cell_types if not parts[part].get(name)]
        if absent and parts[part]:
            click.echo(f"No {', '.join(absent)} in the {part} part: too few images or patients.")
