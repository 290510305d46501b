"""What reads files and forms of strangers, as things that a fuzzer feeds.

with opened(folder) as targets: targets["labels"].feed(number)     # "read" or "refused"; anything else is a finding

An input is made from its number alone, so that what was found can be fed again.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import random
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from tests.conftest import draw_cell
from tests.fuzz import inputs
from tests.fuzz.guard import watched
from tests.test_pipeline import make
from tests.web.conftest import HOST, Site, open_site

from syntheticcellgan.bundle import verify_bundle
from syntheticcellgan.bundle_files import SUMS, read_files, sums_of
from syntheticcellgan.data import upload
from syntheticcellgan.data.importers import archives
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.errors import ScgError
from syntheticcellgan.stain.look import Look, read_look


@dataclass
class Target:
    """folder: what reading may write into. make: the input of a number. read: reads it; ScgError is a refusal."""

    name: str
    folder: Path
    make: Callable[[random.Random], object]
    read: Callable[[object], None]

    def feed(self, number: int) -> str:
        content = self.make(random.Random(number))
        kept = tempfile.tempdir
        tempfile.tempdir = str(self.folder)
        try:
            with watched(self.folder):
                self.read(content)
            return "read"
        except ScgError:
            return "refused"
        finally:
            tempfile.tempdir = kept


def pictures() -> list[bytes]:
    rng = np.random.default_rng(0)
    made = []
    for kind in ("PNG", "JPEG", "TIFF", "BMP"):
        buffer = io.BytesIO()
        draw_cell(90, 40, rng, side=24).save(buffer, kind)
        made.append(buffer.getvalue())
    return made


# The bundle reader


def _bundle(folder: Path) -> Target:
    files = read_files(make(folder / "tiny", ("monocyte", "platelet")).bundle.path)
    files = {name: content for name, content in files.items() if name != SUMS}
    place = folder / "read" / "bundle.zip"
    place.parent.mkdir()

    def spoilt(rng: random.Random) -> bytes:
        changed = dict(files)
        name = rng.choice(list(files))
        if name.endswith(".json"):
            changed[name] = inputs.json_changed(json.loads(files[name]), rng)
        elif name.endswith(".safetensors") and rng.random() < 0.7:
            length = int.from_bytes(files[name][:8], "little")
            header = inputs.json_changed(json.loads(files[name][8 : 8 + length]), rng)
            size = len(header) if rng.random() < 0.9 else rng.choice(inputs.NUMBERS) % 2**64
            changed[name] = size.to_bytes(8, "little") + header + files[name][8 + length :]
        else:
            changed[name] = inputs.mutated(files[name], rng)
        if rng.random() < 0.1:
            del changed[rng.choice(list(changed))]
        if rng.random() < 0.1:
            changed[rng.choice(inputs.WORDS).encode("utf-8", "replace").decode()] = b"x"
        sums = sums_of(changed) if rng.random() < 0.9 else inputs.mutated(sums_of(changed), rng)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as packed:
            for entry, content in (changed | {SUMS: sums}).items():
                packed.writestr(entry or "empty", content)
        return inputs.mutated(buffer.getvalue(), rng) if rng.random() < 0.1 else buffer.getvalue()

    def read(content: object) -> None:
        assert isinstance(content, bytes)
        place.write_bytes(content)
        verify_bundle(place)

    return Target("bundle reader", place.parent, spoilt, read)


# The archive importer, and archives that are sent to the browser


def _archive(folder: Path) -> Target:
    images = [*pictures(), inputs.png(30_000, random.Random(0))]
    place = folder / "read"
    place.mkdir()

    def read(content: object) -> None:
        assert isinstance(content, bytes)
        refused: ScgError | None = None
        source, scratch = place / "set.zip", place / "scratch"
        source.write_bytes(content)
        for how in (_imported, _uploaded, _loose):
            try:
                how(source, scratch)
            except ScgError as error:
                refused = error
            shutil.rmtree(scratch, ignore_errors=True)
        left = [path.name for path in place.iterdir()]
        assert left == ["set.zip"], left
        if refused is not None:
            raise refused

    return Target("archive importer", place, lambda rng: inputs.zip_of(images, rng), read)


def _imported(source: Path, scratch: Path) -> None:
    archives.unpacked(source, scratch)
    for path in scratch.rglob("*"):
        assert path.resolve().is_relative_to(scratch.resolve()), path


def _uploaded(source: Path, scratch: Path) -> None:
    with open(source, "rb") as file:
        upload.keep_upload(file, scratch)
    read_manifest(scratch)


def _loose(source: Path, scratch: Path) -> None:
    with open(source, "rb") as file, upload.unlabelled([("x.zip", file)]) as paths:
        assert all(path.is_file() for path in paths)


# The labels reader


def _labels(folder: Path) -> Target:
    data = folder / "data"
    (data / "a").mkdir(parents=True)
    files = ["a/1.png", "a/é 2.png", "3.jpg"]
    for name in files:
        (data / name).write_bytes(pictures()[0])

    def read(content: object) -> None:
        assert isinstance(content, bytes)
        (data / "labels.csv").write_bytes(content)
        manifest = read_manifest(data)
        for record in manifest.records:
            assert manifest.path(record).resolve().is_relative_to(data.resolve()), record
            assert record.cell_type

    return Target("labels reader", data, lambda rng: inputs.table([*files, "x\\y.png", "../1.png"], rng), read)


# The file of a look


def _look(folder: Path) -> Target:
    rng, place = np.random.default_rng(0), folder / "looks"
    colours = rng.uniform(20, 60, (20, 3, 3)).round(2)
    Look(
        "fuzz", rng.uniform(0.5, 1, (20, 3)), colours, rng.uniform(0.01, 0.02, 20), rng.uniform(0.4, 0.6, 20), 20
    ).write(place / "look.json")
    tree = json.loads((place / "look.json").read_text())

    def read(content: object) -> None:
        assert isinstance(content, bytes)
        (place / "look.json").write_bytes(content)
        found = read_look(place / "look.json")
        assert np.isfinite(found.white).all()
        assert all(np.isfinite(lab).all() for lab in found.regions.values())

    return Target("look reader", place, lambda rng: inputs.look(tree, rng), read)


# The forms


@dataclass
class Post:
    """What a browser could send. seek: of the address, after the question mark."""

    path: str
    kind: str
    body: bytes
    seek: str = ""
    method: str = "POST"


Page = tuple[str, dict[str, str]]


def posts_and_pages(site: Site) -> tuple[tuple[Page, ...], tuple[Page, ...]]:
    """(path, fields) of what is sent as a form, and of what is asked for in an address."""
    csrf = {"csrf": site.keys.csrf}
    manner = {"bundle": "0", "truncation": "1.0", "look": ""}
    item = site.item(1)
    answer = {"item": item, "key": "k", "verdict": "real", "confidence": "2", "cell_type": "monocyte", "remark": "r"}
    answer |= {"feature-granules": "typical", "quality": "3", "seconds": "4.5", "scripted": "1", "go": "next"}
    session = {"title": "t", "real": "0", "synthetic": "1", "cell_types": "monocyte", "real_per_type": "0"}
    session |= {"synthetic_per_type": "0", "repeated": "0", "primed": "true", "ask_type": "true", "margin": "0.1"}
    run = {"title": "t", "hours": "1", "data": "nothing", "start_from": "", "licence": "none"}
    posts = (
        (f"/read/{site.token}/cell/1/1", answer),
        (f"/read/{site.token}/cell/1/1", answer),
        (f"/read/{site.token}/examples", {"sure": "yes"}),
        ("/sessions", csrf | session),
        (f"/sessions/{site.session}/readers", csrf | {"label": "x"}),
        ("/runs", csrf | run),
        ("/reports", csrf | {"title": "t", "what": "bundle-0", "real": "nothing", "quick": "true"}),
        ("/studio/pack", csrf | manner | {"cell_type": "monocyte", "keep": "3"}),
        ("/studio/balance", csrf | manner | {"data": ""}),
        ("/studio/balance/fill", csrf | manner | {"cell_type": "monocyte", "count": "1", "seed": "0"}),
        ("/studio/looks", csrf | {"name": "n", "images": ""}),
        ("/jobs/x/stop", csrf),
    )
    pages = (
        ("/studio", manner | {"cell_type": "monocyte", "count": "3", "seed": "5"}),
        ("/studio/walk", manner | {"cell_type": "monocyte", "seed": "1", "to_type": "platelet", "to_seed": "2"}),
        ("/sessions/new", {"margin": "0.1", "power": "0.8", "readers": "4", "correlation": "0"}),
        ("/enter", {"token": "x"}),
    )
    return posts, pages


def spoilt_post(posts: tuple[Page, ...], pages: tuple[Page, ...], rng: random.Random) -> Post:
    """One of them, with fields right, wrong or damaged."""
    path, fields = rng.choice(posts if rng.random() < 0.8 else pages)
    if (path, fields) in pages:
        _, body = inputs.form(fields, rng)
        return Post(path, "", b"", body.decode("latin-1").replace("\n", "").replace(" ", ""), "GET")
    if rng.random() < 0.1:
        path = inputs.mutated(path.encode(), rng).decode("latin-1")
    return Post(path, *inputs.form(fields, rng))


def _forms(folder: Path, site: Site, loop: asyncio.AbstractEventLoop) -> Target:
    posts, pages = posts_and_pages(site)

    def read(post: object) -> None:
        assert isinstance(post, Post)
        status = loop.run_until_complete(status_of(site, post))
        assert 200 <= status < 500, status
        if status >= 400:
            raise ScgError(str(status))

    return Target("web forms", folder, lambda rng: spoilt_post(posts, pages, rng), read)


async def status_of(site: Site, post: Post) -> int:
    """What the application answers, asked as a server would ask it."""
    headers = {"host": HOST, "content-type": post.kind, "content-length": str(len(post.body))}
    headers["cookie"] = f"scg_organiser={site.keys.cookie}"
    found, sent = 0, False

    async def receive() -> dict[str, object]:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": post.body, "more_body": False}

    async def send(message: dict[str, object]) -> None:
        nonlocal found
        if message["type"] == "http.response.start":
            found = int(message["status"])  # type: ignore[call-overload]

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": post.method,
        "scheme": "http",
        "path": post.path,
        "raw_path": quote(post.path).encode(),
        "root_path": "",
        "query_string": post.seek.encode("latin-1", "replace"),
        "headers": [(k.encode(), v.encode("latin-1", "replace")) for k, v in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8642),
    }
    await site.organiser.app(scope, receive, send)
    return found


@contextmanager
def opened(root: Path) -> Iterator[dict[str, Target]]:
    """All targets, each in a folder of its own below `root`."""
    from syntheticcellgan import studio

    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    from tests.fuzz.parsers import parsers

    from syntheticcellgan.jobs.records import Jobs
    from syntheticcellgan.review.sessions import Settings, create_session, invite_reader

    made = {}
    for name, opening in (("bundle", _bundle), ("archive", _archive), ("labels", _labels), ("look", _look)):
        (root / name).mkdir()
        made[name] = opening(root / name)
    place = root / "forms"
    for name in ("real", "synthetic"):
        rng = np.random.default_rng(len(name))
        for cell_type in ("monocyte", "platelet"):
            (place / name / cell_type).mkdir(parents=True)
            for k in range(2):
                draw_cell(90, 40, rng, side=32).save(place / name / cell_type / f"{k}.png")
    bundle = make(place / "tiny", ("monocyte", "platelet")).bundle.path
    site = open_site(place, (place / "real", place / "synthetic"), bundles=[str(bundle)], folder=place)
    sets = read_manifest(place / "real"), read_manifest(place / "synthetic")
    site.session = create_session(site.database, "Fuzz", *sets, Settings(1, 1), seed=1)
    site.token = invite_reader(site.database, site.session).token
    site.organiser.app.state.room.studio.warm_up()

    def nothing(*_: object) -> None:
        raise ScgError("Nothing is started here.")

    kept = Jobs.start, studio.MOST_FILLED
    Jobs.start, studio.MOST_FILLED = nothing, 4  # type: ignore[method-assign,assignment]
    loop = asyncio.new_event_loop()
    try:
        made["forms"] = _forms(place, site, loop)
        (root / "parsers").mkdir()
        yield made | parsers(root / "parsers", read_files(bundle), site, loop)
    finally:
        Jobs.start, studio.MOST_FILLED = kept  # type: ignore[method-assign]
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        site.database.close()
