"""The same readers as in targets.py at their innermost entry points: bytes in, no disk, no network, no page; a hundred thousand
inputs take minutes.

    parsers(folder, files, site, loop)["tensors"].feed(number)
"""

from __future__ import annotations

import asyncio
import io
import json
import random
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from fastapi import routing
from safetensors.torch import save
from starlette.responses import Response
from tests.fuzz import inputs
from tests.fuzz.targets import Post, Target, pictures, posts_and_pages, spoilt_post, status_of
from tests.web.conftest import Site

from syntheticcellgan import bundle, bundle_files
from syntheticcellgan.bundle_tensors import read_tensors
from syntheticcellgan.data import upload
from syntheticcellgan.data.importers import archives
from syntheticcellgan.data.samples import record_of, type_of
from syntheticcellgan.data.splits import Split, _fingerprint, read_split, write_split
from syntheticcellgan.data.tar import Sample, image_of, read_shard, write_shard
from syntheticcellgan.errors import ScgError
from syntheticcellgan.files import unpacking
from syntheticcellgan.shards.plan import read_plan
from syntheticcellgan.writer import RECORD


def parsers(folder: Path, files: dict[str, bytes], site: Site, loop: asyncio.AbstractEventLoop) -> dict[str, Target]:
    """By name. folder: empty. files: those of a whole bundle. site: a site with a session and a reader."""
    made = {
        "tensors": _tensors(folder),
        "config": _json_file(folder, "bundle's config.json", files["config.json"], bundle._read_config),
        "card": _json_file(folder, "bundle's card.json", files["card.json"], bundle._read_card),
        "sums": _sums(folder, files),
        "zip": _zip(folder),
        "shard": _shard(folder),
        "plan": _plan(folder),
        "split": _split(folder),
    }
    return made | {"fields": _form_parsers(folder, site, loop)}


def _tensors(folder: Path) -> Target:
    tensors = {"a.weight": torch.zeros(4, 3).half(), "a.bias": torch.ones(4).half(), "b": torch.zeros(2, 2, 1)}
    content, expected = save(tensors), {name: tuple(t.shape) for name, t in tensors.items()}
    length = int.from_bytes(content[:8], "little")
    tree, rest = json.loads(content[8 : 8 + length]), content[8 + length :]

    def spoilt(rng: random.Random) -> bytes:
        if rng.random() < 0.3:
            return inputs.mutated(content, rng)
        header = inputs.json_changed(tree, rng) if rng.random() < 0.8 else json.dumps(tree).encode()
        size = len(header) if rng.random() < 0.9 else rng.choice(inputs.NUMBERS) % 2**64
        return size.to_bytes(8, "little") + header + (rest if rng.random() < 0.7 else inputs.mutated(rest, rng))

    def read(given: object) -> None:
        assert isinstance(given, bytes)
        found = read_tensors(given, expected, Path("x"), "a.safetensors")
        assert all(tuple(found[name].shape) == shape for name, shape in expected.items())

    return Target("safetensors header", folder, spoilt, read)


def _json_file(folder: Path, name: str, content: bytes, reader: Callable[[bytes, Path], object]) -> Target:
    tree = json.loads(content)

    def spoilt(rng: random.Random) -> bytes:
        return inputs.json_changed(tree, rng) if rng.random() < 0.8 else inputs.mutated(content, rng)

    def read(given: object) -> None:
        assert isinstance(given, bytes)
        reader(given, Path("x"))

    return Target(name, folder, spoilt, read)


def _sums(folder: Path, files: dict[str, bytes]) -> Target:
    small = {name: content[:200] for name, content in files.items() if name != bundle_files.SUMS}
    right = bundle_files.sums_of(small)

    def read(given: object) -> None:
        assert isinstance(given, bytes)
        bundle_files.check_sums(small | {bundle_files.SUMS: given}, Path("x"))

    return Target("SHA256SUMS", folder, lambda rng: inputs.mutated(right, rng), read)


def _zip(folder: Path) -> Target:
    images = pictures()

    def read(given: object) -> None:
        """What the importer, the upload and the bundle reader do with an archive before anything is written."""
        assert isinstance(given, bytes)
        refused: ScgError | None = None
        for look in (_imported, _uploaded, _bundled):
            try:
                look(given)
            except ScgError as error:
                refused = error
        if refused is not None:
            raise refused

    made = [inputs.zip_of(images, random.Random(number)) for number in range(200)]

    def spoilt(rng: random.Random) -> bytes:
        content = rng.choice(made)
        start = content.find(b"PK\1\2") if rng.random() < 0.7 else 0  # the table stands at the end
        return content[: max(start, 0)] + inputs.mutated(content[max(start, 0) :], rng)

    return Target("table of a zip", folder, spoilt, read)


def _imported(content: bytes) -> None:
    with unpacking("x.zip", "."), zipfile.ZipFile(io.BytesIO(content)) as opened:
        for entry in archives._wanted(Path("x.zip"), opened):
            assert ".." not in entry.filename.split("/"), entry.filename
            assert not entry.filename.startswith("/")
            with opened.open(entry) as packed:
                packed.read(2**20)


def _uploaded(content: bytes) -> None:
    with upload._opened(io.BytesIO(content)) as opened:
        for entry, _ in upload._images(opened):
            with opened.open(entry) as packed:
                upload._copy(packed, io.BytesIO())


def _bundled(content: bytes) -> None:
    bundle_files._of_zip(io.BytesIO(content))  # type: ignore[arg-type]  # a zip is read from an open file just as well


def _shard(folder: Path) -> Target:
    place = folder / "x.tar"
    samples = [Sample(f"monocyte-{k}", pictures()[0][:300], "png", 0, {"cell_type": "monocyte"}) for k in range(2)]
    write_shard(place, samples, folder / "x.part")
    content = place.read_bytes()
    heads = [at for at in range(0, len(content), 512) if content[at + 257 : at + 262] == b"ustar"]

    def spoilt(rng: random.Random) -> bytes:
        data = bytearray(content)
        if rng.random() < 0.3:
            return inputs.mutated(content, rng)
        if rng.random() < 0.2:  # what stands in the file of the label or in the record
            at = content.index(rng.choice((b"monocyte-0.cls", b"monocyte-1.json"))) + 512
            put = rng.choice((b"9" * 400, inputs.json_changed({"cell_type": "monocyte", "label": 1}, rng)))[:512]
            data[at : at + 512] = put.ljust(512, b" ")
        for at in rng.sample(heads, rng.choice((1, 1, 2))):
            field, size = rng.choice(((0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (157, 100), (345, 155)))
            put = rng.choice((*inputs.WORDS, *(f"{n:o}" for n in inputs.NUMBERS), *"0123456789LKxgSDM"))
            data[at + field : at + field + size] = put.encode("utf-8", "surrogatepass")[:size].ljust(size, b"\0")
            if rng.random() < 0.1:  # a number in base 256
                data[at + 124] = rng.choice((0x80, 0xFF))
            if rng.random() < 0.9:
                data[at + 148 : at + 156] = b" " * 8
                data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
        return inputs.mutated(bytes(data), rng) if rng.random() < 0.1 else bytes(data)

    def read(given: object) -> None:
        assert isinstance(given, bytes)
        place.write_bytes(given)
        for _, sample in read_shard(place):
            image_of(sample)
            name = type_of(record_of(sample), sample, ["monocyte", "platelet"])
            assert isinstance(name, str)

    return Target("shards' tar reader", folder, spoilt, read)


def _plan(folder: Path) -> Target:
    tree = {"bundle": "b", "bundle_id": "i", "format": "png", "truncation": 1.0, "per_shard": 10}
    tree |= {"requests": [["monocyte", 25, 0], ["platelet", 7, 3]], "style": None, "wanted": {"granules": "yes"}}

    def read(given: object) -> None:
        assert isinstance(given, bytes)
        (folder / RECORD).write_bytes(given)
        plan = read_plan(folder)
        if plan.total < 10_000:
            assert sum(len(list(plan.pairs(number))) for number in range(plan.shards)) == plan.total

    return Target("plan of shards", folder, lambda rng: inputs.json_changed(tree, rng), read)


def _split(folder: Path) -> Target:
    path = folder / "split.json"
    write_split(Split(("a/1.png", "a/2.png"), ("a/3.png",), ("b/4.png",), 0, "image"), path)
    tree = json.loads(path.read_text())

    def read(given: object) -> None:
        assert isinstance(given, bytes)
        path.write_bytes(given)
        found = read_split(path)
        assert all(isinstance(name, str) for name in (*found.train, *found.validation, *found.test))

    def spoilt(rng: random.Random) -> bytes:
        content = inputs.json_changed(tree, rng)
        if rng.random() < 0.7:
            with suppress(
                ValueError, TypeError, KeyError, RecursionError
            ):  # a fingerprint that fits, as far as one can
                changed = json.loads(content)
                changed["fingerprint"] = _fingerprint([*changed["train"], *changed["validation"], *changed["test"]])
                content = json.dumps(changed).encode()
        return content

    return Target("split", folder, spoilt, read)


def _form_parsers(folder: Path, site: Site, loop: asyncio.AbstractEventLoop) -> Target:
    """The gate, the form's decoder and each page's fields and their rules; the page itself answers nothing."""

    async def nothing(**_: object) -> Response:
        return Response()

    posts, pages = posts_and_pages(site)

    def read(post: object) -> None:
        assert isinstance(post, Post)
        kept, routing.run_endpoint_function = routing.run_endpoint_function, nothing
        try:
            status = loop.run_until_complete(status_of(site, post))
        finally:
            routing.run_endpoint_function = kept
        assert 200 <= status < 500, status
        if status >= 400:
            raise ScgError(str(status))

    return Target("form parsers", folder, lambda rng: spoilt_post(posts, pages, rng), read)
