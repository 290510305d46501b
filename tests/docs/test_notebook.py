"""The notebook: its code runs as it stands, its kept output is small and came from running it in order."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "notebooks" / "api.ipynb"
CODE = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def test_the_kept_output_came_from_running_it_in_order() -> None:
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    outputs = [output for cell in CODE for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 4
    assert NOTEBOOK.stat().st_size < 1_000_000


def without_figures(text: str) -> str:
    """Another processor rounds otherwise, another bundle has others."""
    return re.sub(r"\d+(\.\d+)?", "N", text)


def test_it_runs_and_prints_what_it_shows(capsys: pytest.CaptureFixture[str], tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for cell in CODE:
        exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), names)
        printed = [line for output in cell["outputs"] if output.get("name") == "stdout" for line in output["text"]]
        assert without_figures(capsys.readouterr().out) == without_figures("".join(printed))
    assert list(tmp_path.iterdir()) == []
