"""Hostile inputs, each made from one number: the same number, the same input.

mutated(content, rng) changes bytes; zip_of, table, json_changed and form know what they spoil.
"""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import warnings
import zipfile
import zlib
from contextlib import suppress
from typing import Any
from urllib.parse import quote_plus

NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    7,
    8,
    16,
    64,
    127,
    128,
    255,
    256,
    1000,
    2**15,
    2**16,
    2**31 - 1,
    2**31,
    2**63 - 1,
    2**63,
    10**30,
)
WORDS = (
    "",
    " ",
    "a",
    "monocyte",
    "PLT",
    "../x",
    "../../../../tmp/x.png",
    "/etc/passwd",
    "C:\\x.png",
    "..\\..\\x.png",
    "CON",
    "a\0b",
    "a\nb",
    "\r\n",
    "é",
    "e\u0301",
    "\ufeff",
    "\u202egnp.exe",
    "=1+1",
    "@SUM(A1)",
    "-1",
    "1e999",
    "nan",
    "inf",
    "null",
    "true",
    "[]",
    "{}",
    "<script>alert(1)</script>",
    "'; DROP TABLE answer; --",
    '"',
    "%00",
    "%s%n",
    "a" * 300,
    "x.png",
    "__MACOSX/._x.png",
    ".hidden.png",
    "labels.csv",
    "metadata.csv",
    "\ud800",
    "𝔪𝔬𝔫𝔬",
    "١٢",
)


def mutated(content: bytes, rng: random.Random) -> bytes:
    """One to twelve changes: bytes flipped, set, inserted, left out, doubled, numbers written over, or cut off."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5, 12))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(8)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(data):
            data[at] = rng.choice((0, 1, 9, 10, 13, 34, 44, 59, 127, 128, 255, rng.randrange(256)))
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.choice((1, 2, 4, 30)))
        elif kind == 3:
            del data[at : at + rng.choice((1, 2, 4, 30, 1000))]
        elif kind == 4:
            data[at:at] = data[at : at + rng.choice((1, 8, 100))]
        elif kind == 5:
            size = rng.choice("HIQ")
            data[at : at + struct.calcsize(size)] = struct.pack(
                f"<{size}", rng.choice(NUMBERS) % 2 ** (8 * struct.calcsize(size))
            )
        elif kind == 6:
            data[at:at] = rng.choice(WORDS).encode("utf-8", "surrogatepass")
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


def value(rng: random.Random, depth: int = 0) -> Any:
    """Any JSON value, sometimes a table."""
    kind = rng.randrange(8 if depth < 3 else 6)
    if kind < 2:
        return rng.choice(NUMBERS)
    if kind == 2:
        return rng.choice((0.5, -0.0, 1e308, float("nan"), float("inf"), -float("inf")))
    if kind == 3:
        return rng.choice((None, True, False))
    if kind < 6:
        return rng.choice(WORDS)
    if kind == 6:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(WORDS): value(rng, depth + 1) for _ in range(rng.randrange(4))}


def json_changed(tree: Any, rng: random.Random) -> bytes:
    """A JSON text in which one to three places hold something else, are missing, doubled or nested deeply."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(tree))
        if not places:
            break
        holder, key = rng.choice(places)
        kind = rng.randrange(10)
        if kind < 6:
            holder[key] = value(rng)
        elif kind < 8:
            del holder[key]
        elif kind == 8 and isinstance(holder, dict):
            holder[rng.choice(WORDS)] = holder[key]
        elif isinstance(holder, list):
            holder.append(holder[key])
    text = json.dumps(tree).encode("utf-8", "surrogatepass")
    if rng.random() < 0.02:
        text = b"[" * 5000 + text
    return mutated(text, rng) if rng.random() < 0.1 else text


def _places(tree: Any) -> Any:
    pending = [tree]
    while pending:
        node = pending.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node))
        for key in keys:
            yield node, key
            if isinstance(node[key], dict | list) and node[key]:
                pending.append(node[key])


def zip_of(pictures: list[bytes], rng: random.Random) -> bytes:
    """An archive with good and bad names, sizes that lie, links, locks, bombs, archives in it; whole or damaged."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for _ in range(rng.choice((0, 1, 1, 2, 4, 8))):
            folder = rng.choice(("monocyte/", "PLT/", "", "a/b/c/", "é/", rng.choice(WORDS) + "/"))
            name = folder + rng.choice(("1.png", "2.JPG", "x.tif", "t.csv", "in.zip", rng.choice(WORDS)))
            name = name.encode("utf-8", "replace").decode()
            content = rng.choice(
                (*pictures, b"", b"\0" * rng.choice((10, 100_000)), rng.randbytes(50), b"file,cell_type\n")
            )
            entry = zipfile.ZipInfo(name)
            entry.compress_type = rng.choice(
                (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
            )
            if rng.random() < 0.1:
                entry.external_attr = rng.choice((0o120777, 0o040755, 0o010644, 0o060644)) << 16
            if rng.random() < 0.05:
                inner = io.BytesIO()
                with zipfile.ZipFile(inner, "w") as nested:
                    nested.writestr(rng.choice(("monocyte/1.png", "../../x.png")), content)
                content = inner.getvalue()
            with suppress(ValueError, struct.error), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # a name twice is meant so
                packed.writestr(entry, content)
    content = buffer.getvalue()
    return mutated(content, rng) if rng.random() < 0.6 else content


def table(files: list[str], rng: random.Random) -> bytes:
    """A labels.csv, nearly right or far from it."""
    names = ["file", "cell_type", "patient", "laboratory", "subtype", "label", "image", "score", ""]
    header = rng.sample(names, rng.randrange(1, len(names))) if rng.random() < 0.4 else ["file", "cell_type", "patient"]
    delimiter = rng.choice((",", ",", ",", ";", "\t", "|"))
    lines = [header]
    for _ in range(rng.choice((0, 1, 2, 3, 6))):
        row = [
            rng.choice((*files, rng.choice(WORDS)))
            if name in ("file", "image")
            else rng.choice(("monocyte", "platelet", "7", rng.choice(WORDS)))
            for name in header
        ]
        if rng.random() < 0.1:
            row = row[:-1] if rng.random() < 0.5 else [*row, "more"]
        lines.append(row)
    text = rng.choice(("\n", "\r\n", "\r")).join(delimiter.join(row) for row in lines)
    encoded = text.encode(rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1")), "replace")
    return mutated(encoded, rng) if rng.random() < 0.4 else encoded


def look(tree: Any, rng: random.Random) -> bytes:
    """The file of a look, spoilt."""
    return mutated(json.dumps(tree).encode(), rng) if rng.random() < 0.3 else json_changed(tree, rng)


def png(side: int, rng: random.Random) -> bytes:
    """A PNG file that says it has side × side pixels, with as much in it as fits into a kilobyte."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", side, side, 8, rng.choice((0, 2, 3, 4, 6)), 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def form(fields: dict[str, str], rng: random.Random) -> tuple[str, bytes]:
    """(content type, body): fields right, wrong, missing, twice or foreign; as a form, in parts with files, or damaged."""
    wanted = list(fields.items())
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        at = rng.randrange(len(wanted) + 1)
        name = rng.choice((*fields, rng.choice(WORDS)))
        content = rng.choice((*WORDS, *(str(n) for n in NUMBERS)))
        if rng.random() < 0.3:
            wanted[at:at] = [(name, content)]
        else:
            wanted = [(key, content if key == name and key != "csrf" else kept) for key, kept in wanted]
    if rng.random() < 0.5:
        body = "&".join(f"{_quoted(name)}={_quoted(content)}" for name, content in wanted).encode()
        kind = "application/x-www-form-urlencoded"
    else:
        boundary = rng.choice(("b", "----x", "a" * 70, "b"))
        parts = []
        for name, content in wanted:
            file = f'; filename="{rng.choice(("x.zip", "x.png", "look.json", *WORDS))}"' if rng.random() < 0.3 else ""
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
            parts.append(f"{head}{content}\r\n".encode("utf-8", "replace"))
        body = b"".join(parts) + f"--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
    if rng.random() < 0.3:
        body = mutated(body, rng)
    if rng.random() < 0.05:
        kind = rng.choice(
            ("multipart/form-data", "text/plain", "application/json", "multipart/form-data; boundary=" + "z" * 200, "")
        )
    return kind, body


def _quoted(text: str) -> str:
    return quote_plus(text, errors="replace")
