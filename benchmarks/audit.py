"""Known holes in what is installed, and the bill of materials of a release.

    python benchmarks/audit.py holes PYTHON      # pip-audit: asks PyPI's advisories about each package, by the internet
    python benchmarks/audit.py materials PYTHON --out dist/syntheticcellgan.cdx.json    # CycloneDX, without a network

PYTHON is that of the environment to be looked at; pip-audit and cyclonedx-bom run in the environment of this program, so
that they do not stand in the list themselves. `make audit` and `make materials` do both.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_NO_NETWORK = ("ConnectionError", "ServiceError", "Max retries exceeded", "NameResolutionError", "Could not connect")


def verdict(code: int, said: str) -> tuple[int, str]:
    """Exit code and sentence, of pip-audit's own; without a network it is no failure, but it is said."""
    if code == 0:
        return 0, "No known hole in what is installed."
    if any(sign in said for sign in _NO_NETWORK):
        return 0, "Not audited: the advisories at pypi.org cannot be reached from here. Run it again with a network."
    return code, said


def holes(python: str) -> int:
    place = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    command = [sys.executable, "-m", "pip_audit", "--skip-editable", "--progress-spinner=off", "--timeout=10"]
    done = subprocess.run([*command, "--path", place], capture_output=True, text=True, check=False)
    code, sentence = verdict(done.returncode, done.stdout + done.stderr)
    print(sentence)
    return code


def materials(python: str, out: Path) -> int:
    out.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "cyclonedx_py", "environment", python, "--pyproject", str(ROOT / "pyproject.toml")]
    command += ["--of", "JSON", "--output-reproducible", "--mc-type", "application", "-o", str(out)]
    code = subprocess.run(command, check=False).returncode
    if code == 0:
        content = json.loads(out.read_text(encoding="utf-8"))
        print(f"{out}: {len(content['components'])} components, CycloneDX {content['specVersion']}")
    return code


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["holes", "materials"])
    parser.add_argument("python", help="of the environment to be looked at")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "syntheticcellgan.cdx.json")
    given = parser.parse_args()
    return holes(given.python) if given.what == "holes" else materials(given.python, given.out)


if __name__ == "__main__":
    sys.exit(main())
