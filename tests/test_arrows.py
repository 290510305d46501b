"""Who may know whom: the map in CONTRIBUTING.md names every part of the package, and imports go only downward in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import syntheticcellgan

PACKAGE = Path(syntheticcellgan.__file__).parent
MAP = Path(__file__).parents[1] / "CONTRIBUTING.md"


def floors() -> dict[str, int]:
    """Line of the map on which each part of the package stands."""
    block = MAP.read_text(encoding="utf-8").split("src/syntheticcellgan/\n")[1].split("\ntests/")[0]
    found = {}
    for number, line in enumerate(block.splitlines()):
        for name in re.split(r"\s{2,}", line.strip())[0].split(", "):
            for path in PACKAGE.glob(name.rstrip("/")):
                found[path.stem] = number
    return found


def parts() -> set[str]:
    """Modules and sub-packages with code."""
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    return folders | {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}


def imports(path: Path) -> set[str]:
    """The parts that a module imports, wherever in it; what is imported for its type alone does not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = {f"{node.module}.{alias.name}" for node in found for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("syntheticcellgan.")} & parts()


def test_the_map_names_every_part():
    assert set(floors()) == parts()


def test_imports_go_only_downward():
    floor = floors()
    upward = [
        f"{path.relative_to(PACKAGE)} imports {other}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for part in [path.relative_to(PACKAGE).parts[0].removesuffix(".py")]
        if part in floor
        for other in sorted(imports(path))
        if floor[other] < floor[part]
    ]
    assert not upward
