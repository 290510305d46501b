"""`scg review`: reading sessions from the command line; readers read in the browser (`scg serve`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syntheticcellgan.errors import InputError

if TYPE_CHECKING:
    from syntheticcellgan.review.database import Database

DEFAULT_DATABASE = "reading-room.sqlite"

database_option: Any = click.option(
    "--database",
    "place",
    default=DEFAULT_DATABASE,
    show_default=True,
    envvar="SCG_DATABASE",
    help="File (SQLite) or postgresql:// URL; also from SCG_DATABASE.",
)


def open_place(place: str, create: bool = False) -> Database:
    """The database; InputError in place of a new, empty one where an existing one is meant."""
    try:
        from syntheticcellgan.review.database import open_database
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is missing; the reading room needs: pip install 'syntheticcellgan[web]'."
        ) from None
    if not create and "://" not in place and not Path(place).exists():
        raise InputError(f"There is no reading room {place}; name it with --database, or make a session first.")
    return open_database(place)


@click.group()
def review() -> None:
    """Blinded reading sessions: make, invite, close, see results, export, back up."""


@review.command()
@click.option("--title", required=True, help="Shown to the readers.")
@click.option("--real", type=click.Path(path_type=Path), required=True, help="Data set of real cells.")
@click.option("--synthetic", type=click.Path(path_type=Path), required=True, help="Data set of synthetic cells.")
@click.option("--cell-type", "cell_types", multiple=True, help="Only this type; may be given several times.")
@click.option("--real-per-type", type=int, default=10, show_default=True)
@click.option("--synthetic-per-type", type=int, default=10, show_default=True)
@click.option("--repeated", type=int, default=0, show_default=True, help="Cells that each reader sees twice.")
@click.option("--primed", is_flag=True, help="A second round with other cells, after labelled examples.")
@click.option("--no-type", is_flag=True, help="Do not ask for the cell type.")
@click.option("--no-checklist", is_flag=True, help="Do not ask for the morphology.")
@click.option("--margin", type=float, default=0.10, show_default=True, help="Equivalent to chance within 0.5 ± this.")
@click.option("--seed", type=click.IntRange(0), help="Of all that is drawn. [random]")
@database_option
def new(
    title: str,
    real: Path,
    synthetic: Path,
    cell_types: tuple[str, ...],
    real_per_type: int,
    synthetic_per_type: int,
    repeated: int,
    primed: bool,
    no_type: bool,
    no_checklist: bool,
    margin: float,
    seed: int | None,
    place: str,
) -> None:
    """Make a session from a folder of real and one of synthetic cells; prints its id."""
    database = open_place(place, create=True)
    from syntheticcellgan.data.manifest import read_manifest
    from syntheticcellgan.review.sessions import Settings, create_session

    settings = Settings(
        real_per_type=real_per_type,
        synthetic_per_type=synthetic_per_type,
        repeated=repeated,
        primed=primed,
        ask_type=not no_type,
        ask_checklist=not no_checklist,
        margin=margin,
        cell_types=cell_types,
    )
    manifests = read_manifest(real), read_manifest(synthetic)
    click.echo(create_session(database, title, *manifests, settings, seed=seed))


@review.command("list")
@database_option
def list_(place: str) -> None:
    """Sessions and how far their readers are."""
    from syntheticcellgan.review.overview import list_readers, list_sessions

    database = open_place(place)
    for session in list_sessions(database):
        state = "closed" if session.closed_at else "open"
        click.echo(f"{session.id}  {session.title}  ({state}, {session.images} images)")
        for reader in list_readers(database, session.id):
            link = "" if reader.active else ", link withdrawn"
            click.echo(f"    {reader.id}  {reader.label}: {reader.answered} of {reader.items}{link}")


@review.command()
@click.argument("session")
@click.option("--label", default="", help="A pseudonym, no real name. [Reader 1, 2 …]")
@database_option
def invite(session: str, label: str, place: str) -> None:
    """Invite a reader to SESSION; prints the end of the personal link, told this once."""
    from syntheticcellgan.review.sessions import invite_reader

    invitation = invite_reader(open_place(place), session, label)
    click.echo(f"{invitation.label}: /read/{invitation.token}")


@review.command()
@click.argument("session")
@click.argument("reader")
@database_option
def withdraw(session: str, reader: str, place: str) -> None:
    """The personal link of READER (its id) in SESSION no longer works; the answers stay."""
    from syntheticcellgan.review.sessions import withdraw_link

    withdraw_link(open_place(place), session, reader)
    click.echo("The link is withdrawn.")


@review.command()
@click.argument("session")
@database_option
def close(session: str, place: str) -> None:
    """Take no more answers for SESSION."""
    from syntheticcellgan.review.sessions import close_session

    close_session(open_place(place), session)
    click.echo("The session is closed.")


@review.command()
@click.argument("session")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder for the three files.")
@database_option
def results(session: str, out: Path, place: str) -> None:
    """Write judgements.csv, results.json and report.html of SESSION."""
    database = open_place(place)
    from syntheticcellgan.review.export import write_all
    from syntheticcellgan.review.results import read_results

    found = read_results(database, session)
    write_all(database, found, out)
    accuracy = found.rounds[0].overall.accuracy
    click.echo(f"{accuracy.n} judgements in the first round; {out / 'report.html'} shows the results.")


@review.command()
@click.argument("target", type=click.Path(path_type=Path))
@database_option
def backup(target: Path, place: str) -> None:
    """Copy the whole reading room to TARGET, also while it is in use."""
    database = open_place(place)
    from syntheticcellgan.review.database import backup as copy

    copy(database, target)
    click.echo(f"{target} holds everything.")


@review.command("sample-size")
@click.option("--margin", type=float, default=0.10, show_default=True)
@click.option("--power", type=float, default=0.8, show_default=True)
@click.option("--expected", type=float, default=0.5, show_default=True, help="The readers' true accuracy.")
@click.option("--readers", type=int, default=1, show_default=True)
@click.option("--correlation", type=float, default=0.0, show_default=True, help="Of readers' judgements on one image.")
def sample_size(margin: float, power: float, expected: float, readers: int, correlation: float) -> None:
    """How many images a session needs to show equivalence to chance."""
    from syntheticcellgan.review.statistics import sample_size as calculate

    found = calculate(margin, power, expected, readers, correlation)
    click.echo(f"{found.judgements} independent judgements; {found.images_per_reader} images for each of {readers}.")
