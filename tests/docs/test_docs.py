"""The documentation: every command in it is one that exists, every link leads somewhere, the site builds without a warning."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from syntheticcellgan.cli import cli, main

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PLACEHOLDERS = {"…", "..."}

QUICK = (
    "scg bundle show pbc-256",
    "scg --version",
)
"""Run as they stand, when they stand in a page."""


def commands() -> Iterator[tuple[str, str, bool]]:
    """(place, command, whether it is complete) for each `scg` command in the pages."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        name = page.relative_to(ROOT).as_posix()
        fenced = re.findall(r"^```(?:sh|text|bash)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        indented = re.findall(r"^ {4}(?:\S.*)$", text, re.MULTILINE)
        for line in "\n".join([*fenced, *indented]).replace("\\\n", " ").splitlines():
            if (command := re.match(r"\s*(?:\$ )?(?:\.venv/bin/)?(scg .*)", line)) is not None:
                yield name, command[1], True
        prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        for command in re.findall(r"`(?:\.venv/bin/)?(scg [^`]+)`", prose):
            yield name, command.replace("\n", " "), False


ALL = sorted(set(commands()))


def resolved(words: list[str]) -> tuple[click.Command, list[str], str]:
    """The command that the words name, and its own arguments."""
    command: click.Command = cli
    path = "scg"
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        child = command.get_command(click.Context(command), words[0])
        assert child is not None, f"there is no command “{path} {words[0]}”"
        path, command, words = f"{path} {words[0]}", child, words[1:]
    return command, words, path


@pytest.mark.parametrize(("page", "command", "complete"), ALL, ids=[f"{p}: {c[:60]}" for p, c, _ in ALL])
def test_every_command_in_the_pages_exists(page: str, command: str, complete: bool) -> None:
    words = [word for word in shlex.split(command, comments=True)[1:] if word not in ("&", "|", ">")]
    words = [word.replace("$SLURM_ARRAY_TASK_ID", "1") for word in words]
    found, own, path = resolved(words)
    options = {name for p in found.params for name in (*p.opts, *p.secondary_opts)} | {"--help", "-h", "--version"}
    for word in own:
        if word.startswith("--"):
            assert word.split("=")[0] in options, f"{page}: {path} has no option {word}"
    if complete and not PLACEHOLDERS & set(words):
        with contextlib.suppress(click.exceptions.Exit):  # --help and --version end there
            found.make_context(path, own)


def test_the_pages_name_every_command() -> None:
    """A verb that no page shows is one that nobody finds."""
    shown = " ".join(command for _, command, _ in ALL)
    for verb in cli.list_commands(click.Context(cli)):
        assert f"scg {verb}" in shown or verb == "demo", verb  # `make demo` is how the pages start it


@pytest.mark.parametrize("command", QUICK)
def test_quick_commands_run(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert not main(shlex.split(command)[1:])
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=[p.relative_to(ROOT).as_posix() for p in PAGES])
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        place = page.parent / target.split("#")[0]
        generated = place.name == "commands.md"  # by docs/mkdocs_hooks.py
        assert place.exists() or generated, f"{page.name}: {target}"


def test_every_dependency_says_what_it_is_for() -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads pyproject.toml by itself")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (ROOT / "docs" / "explanation" / "dependencies.md").read_text(encoding="utf-8")
    extras = project["optional-dependencies"]
    user = [line for name, group in extras.items() if name not in ("dev", "docs", "readers") for line in group]
    for line in [*project["dependencies"], *user]:
        name = re.split(r"[\s<>=!\[;]", line)[0].lower()
        assert f"| {name} " in page, f"{name}: describe it in benchmarks/dependencies.py, then run it with --write"


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="pip install 'syntheticcellgan[docs]' to build the site")
    pytest.importorskip("mkdocstrings", reason="pip install 'syntheticcellgan[docs]' to build the site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    commands = (tmp_path / "site" / "reference" / "commands.html").read_text(encoding="utf-8")
    assert "scg bundle export" in commands
    api = (tmp_path / "site" / "reference" / "api" / "index.html").read_text(encoding="utf-8")
    assert "Make" in api
    assert "truncation" in api
    outside = re.compile(r"<script[^>]*src=.https?:|<img[^>]*src=.https?:|<link[^>]*rel=.stylesheet[^>]*href=.https?:")
    for page in (tmp_path / "site").rglob("*.html"):  # nothing is fetched from elsewhere
        assert not outside.search(page.read_text(encoding="utf-8")), page
