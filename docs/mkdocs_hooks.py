"""Makes pages when the site is built: that of commands from the commands themselves, those of notebooks from the notebooks."""

from __future__ import annotations

from pathlib import Path

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from syntheticcellgan.cli import cli

PAGE = "reference/commands.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page of commands, and a page and its pictures for each notebook."""
    files.append(File.generated(config, PAGE, content=_page()))
    for notebook in sorted(Path(config.docs_dir).glob("notebooks/*.ipynb")):
        from nbconvert import MarkdownExporter

        text, found = MarkdownExporter().from_filename(str(notebook))
        place = notebook.relative_to(config.docs_dir).with_suffix("")
        for name, content in found["outputs"].items():
            text = text.replace(f"({name})", f"({place.name}/{name})").replace("![png]", "![What the cell above shows]")
            files.append(File.generated(config, f"{place.as_posix()}/{name}", content=content))
        files.append(File.generated(config, f"{place.as_posix()}.md", content=text))
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
