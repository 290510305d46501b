"""The command line, called in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from syntheticcellgan.cli import main


def scg(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    """Exit code, and everything printed."""
    try:
        code = int(main([str(a) for a in arguments]) or 0)
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    return code, captured.out + captured.err
