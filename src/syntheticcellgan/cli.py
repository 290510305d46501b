"""The command `scg`: thin, one function per verb, the same API as everyone else."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from syntheticcellgan import __version__
from syntheticcellgan.cell_types import nearest
from syntheticcellgan.errors import ScgError

_VERBS = {
    "train": "Learn from a folder of labelled cells: all stages, then a bundle.",
    "adapt": "Teach a bundle a further cell type from 20 to 100 images, in minutes.",
    "generate": "Make images of the cell types that you ask for.",
    "interpolate": "The way from one cell to another, or one feature that changes: a grid, an animated image.",
    "evaluate": "Measure how far synthetic images can be trusted.",
    "attributes": "Teach a bundle the features by which cells can be chosen.",
    "bundle": "Show, verify or export a trained bundle.",
    "data": "Check, import or split a data set.",
    "stain": "One standard of colour across laboratories: fit, apply, check.",
    "export": "Write a data set for other programs: Hugging Face, WebDataset, COCO, DICOM, Croissant.",
    "serve": "The studio and the reading room in the browser.",
    "review": "Blinded reading sessions: do experts tell the synthetic cells from real ones?",
    "demo": "Show the bundled model at work, beside real cells.",
}


class _Verbs(click.Group):
    """Imports a verb only when it is used, so that help is immediate; proposes the nearest for a misspelt one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return None
        command: click.Command = getattr(importlib.import_module(f"syntheticcellgan.commands.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _VERBS and not args[0].startswith("-"):
            near = nearest(args[0], _VERBS)
            hint = f" Did you mean “{near}”?" if near else f" The commands are {', '.join(_VERBS)}."
            raise click.UsageError(f"There is no command “{args[0]}”.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="scg")
def cli() -> None:
    """SyntheticCellGAN: artificial images of white blood cells, and how far they can be trusted.

    Synthetic images are for research, teaching and the training of models, never for diagnosis.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; exit code 2 for wrong use, 1 for failure, 130 after Ctrl-C."""
    try:
        return cli.main(arguments, prog_name="scg", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except ScgError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        click.echo(
            f"Error: {place}{error.strerror or error}. Free some space or look at the permissions; what was finished "
            "before is kept, and the same command goes on.",
            err=True,
        )
        sys.exit(1)
    except MemoryError:
        click.echo(
            "Error: the memory of this machine is used up; use a smaller --batch or close other programs.", err=True
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
