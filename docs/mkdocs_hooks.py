"""Makes the page of commands from the commands themselves, when the site is built."""

from __future__ import annotations

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from syntheticcellgan.cli import cli

PAGE = "reference/commands.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page of commands."""
    files.append(File.generated(config, PAGE, content=_page()))
    return files


def _page() -> str:
    parts = ["# Commands\n"]
    for path, command in _commands("scg", cli):
        context = click.Context(command, info_name=path, max_content_width=76, terminal_width=76)
        parts.append(f"{'##' if path.count(' ') < 2 else '###'} {path}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def _commands(path: str, command: click.Command) -> list[tuple[str, click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            found += _commands(f"{path} {name}", child)
    return found
