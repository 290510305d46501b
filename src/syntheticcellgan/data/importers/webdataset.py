"""WebDataset shards: tars in which an image and what is known of it share a name (`scg generate --shards` writes such).

Layout: `*.tar` in the folder. The type's name is `cell_type` or `label` in the sample's `.json`, or the line of
`labels.json` that its `.cls` counts to, or the text of its `.cls` or `.txt`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from syntheticcellgan.data.importers.layout import Item, Layout, search
from syntheticcellgan.data.samples import KNOWN, label_names, record_of, shards_in, type_of
from syntheticcellgan.data.tar import image_of, read_shard
from syntheticcellgan.errors import InputError


def _here(folder: Path) -> bool:
    """The first sample tells; other archives may be tars too."""
    for path in shards_in(folder)[:1]:
        try:
            _, files = next(read_shard(path), ("", dict[str, bytes]()))
        except InputError:
            return False
        return image_of(files) is not None and bool({"json", "cls"} & files.keys())
    return False


def _items(root: Path) -> Iterator[Item]:
    names = label_names(root)
    for path in shards_in(root):
        for key, files in read_shard(path):
            item = item_of(f"{path.name}/{key}", key, files, names)
            if item is not None:
                yield item


def item_of(original: str, key: str, files: Mapping[str, bytes], names: list[str]) -> Item | None:
    """The image of a sample and all that is known of it; None for a sample without an image."""
    image = image_of(files)
    if image is None:
        return None
    suffix, content = image
    record = record_of(files)
    known = {name: str(record[name]) for name in KNOWN if record.get(name)}
    attributes = {
        name: str(value)
        for name, value in record.items()
        if name not in (*KNOWN, "cell_type", "label") and isinstance(value, (str, int, float))
    }
    file = f"{key.replace('/', '_')}.{suffix}"
    return Item(file, type_of(record, files, names), content, original, **known, attributes=attributes)


LAYOUT = Layout(
    "webdataset",
    "WebDataset shards",
    "*.tar with images, and the type in .json or .cls beside each",
    lambda source: search(source, _here, depth=1),
    _items,
)
