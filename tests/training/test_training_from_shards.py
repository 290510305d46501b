"""Training from WebDataset shards: the same images as from a folder, nothing listed, nothing lost by a stop."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import struct
import tarfile
import tracemalloc
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from syntheticcellgan.cli import main
from syntheticcellgan.config import ChainConfig, GeneratorConfig, TrainingConfig, TranslatorConfig
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.shard_index import has_shards, index_shards
from syntheticcellgan.errors import InputError
from syntheticcellgan.exports import export_dataset
from syntheticcellgan.exports import webdataset as exporter
from syntheticcellgan.training.data_set import prepare_data
from syntheticcellgan.training.feed import Feed
from syntheticcellgan.training.hardware import Hardware
from syntheticcellgan.training.images import FolderImages, Images
from syntheticcellgan.training.run import Run, train

PARTS = ("train", "validation", "test")
TYPES = ("lymphocyte", "monocyte", "platelet")


@pytest.fixture(scope="module")
def shards(drawn_cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn cells as `scg export` writes them, ten in a shard."""
    folder = tmp_path_factory.mktemp("shards") / "cells"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporter, "PER_SHARD", 10)
        export_dataset(drawn_cells, folder, "webdataset")
    return folder


def settings(**autoencoder: float) -> TrainingConfig:
    base = TrainingConfig(minimum_images=2, checkpoint_minutes=1e-6)
    tree = {"kimg": 0.064, "batch": 4, **autoencoder}
    return replace(base, autoencoder=replace(base.autoencoder, **tree))


def seen(images: Images) -> list[str]:
    """The pixels of a part, as a sorted list of digests."""
    return sorted(hashlib.sha256(images.read(i).tobytes()).hexdigest() for i in range(len(images)))


def member(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def shard(path: Path, samples: Iterable[Mapping[str, bytes]], first: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for number, sample in enumerate(samples, start=first):
            for suffix, content in sample.items():
                member(archive, f"{number:06d}.{suffix}", content)
            archive.members.clear()
    return path


def png(side: int = 16, value: int = 0) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (side, side), (value, 100, 100)).save(content, "PNG")
    return content.getvalue()


def many(path: Path, count: int) -> Path:
    """Tiny images that differ in their last bytes, which no reader heeds."""
    start, labels = png(), (b"0", b"1")
    (path / "labels.json").parent.mkdir(parents=True)
    (path / "labels.json").write_text('["monocyte", "platelet"]')
    for first in range(0, count, 500):
        samples = ({"png": start + struct.pack("<I", i), "cls": labels[i % 5 == 0]} for i in range(first, first + 500))
        shard(path / f"{first // 500:04d}.tar", samples, first)
    return path


def test_the_same_images_are_seen_as_from_the_folder(shards: Path, drawn_cells: Path, tmp_path: Path) -> None:
    data, folder = (prepare_data(place, TrainingConfig(), tmp_path) for place in (shards, drawn_cells))
    assert dict(data.counts()) == dict(folder.counts()) == dict.fromkeys(TYPES, 16)
    found = [pixels for part in PARTS for pixels in seen(data.part(part))]
    assert sorted(found) == seen(FolderImages(read_manifest(drawn_cells)))
    assert all(len(data.part(part)) for part in PARTS)


def test_a_check_says_what_training_would_find(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["data", "check", str(shards), "--json", str(tmp_path / "report.json")])
    assert "48 images in 5 shards; parts by image: train 36, validation 3, test 9." in capsys.readouterr().out
    assert json.loads((tmp_path / "report.json").read_text())["counts"] == dict.fromkeys(TYPES, 16)
    (tmp_path / "a.tar").write_bytes(b"no tar")
    with pytest.raises(SystemExit):
        main(["data", "check", str(tmp_path / "*.tar")])
    assert "a.tar is no whole tar" in capsys.readouterr().err


def test_an_epoch_shows_each_image_once_and_types_alike(shards: Path, tmp_path: Path) -> None:
    data = prepare_data(shards, TrainingConfig(), tmp_path)
    feed = Feed(data.part("train"), TYPES, 32, 0, tmp_path)
    numbers, types = feed.drawn("stage", np.arange(3 * 200))
    for t in range(3):
        assert (types == t).sum() == 200
        own = [number for number, u in zip(numbers, types.tolist(), strict=True) if u == t]
        size = len(feed.members[t])
        first, second = own[:size], own[size : 2 * size]
        assert sorted(first) == sorted(second) == feed.members[t].tolist()
        assert first != second


def run_autoencoder(shards: Path, out: Path, stop: int = 0) -> None:
    """Train the first stage; with `stop`, end in the middle as after a power cut."""
    training = settings()
    data = prepare_data(shards, training, out)
    data.keep(out)
    generator, translator = GeneratorConfig(resolution=32, width=16, latent_size=8), TranslatorConfig(width=8, blocks=1)
    chain = ChainConfig(data.cell_types, generator, translator)
    run = Run(chain, training, Hardware("cpu", "32-true", "test"), str(shards))

    def report(stage: str, images: int, *_: object) -> None:
        if images == stop:
            raise RuntimeError("power cut")

    train(run, data, out, ("autoencoder",), report)


def outcome(out: Path) -> tuple[bytes, list[dict[str, float]]]:
    raw = (out / "autoencoder" / "last.safetensors").read_bytes()
    lines = map(json.loads, (out / "autoencoder" / "log.jsonl").read_text().splitlines())
    return raw[8 + int.from_bytes(raw[:8], "little") :], [
        {k: v for k, v in line.items() if k != "seconds"} for line in lines
    ]


def test_stopped_in_the_middle_of_an_epoch_equals_undisturbed(shards: Path, tmp_path: Path) -> None:
    run_autoencoder(shards, tmp_path / "whole")
    for stop in (12, 40):  # an epoch of one type is 8 to 12 images, so 24 to 36 in all
        with pytest.raises(RuntimeError, match="power cut"):
            run_autoencoder(shards, tmp_path / "cut", stop)
    run_autoencoder(shards, tmp_path / "cut")
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")
    assert (tmp_path / "cut" / "shards.json").read_bytes() == (tmp_path / "whole" / "shards.json").read_bytes()


def test_memory_per_image_is_some_tens_of_bytes(tmp_path: Path) -> None:
    peaks = {}
    for count in (500, 1500):
        place = many(tmp_path / str(count), count)
        tracemalloc.start()
        data = prepare_data(place, settings(), tmp_path / f"out-{count}")
        feed = Feed(data.part("train"), data.cell_types, 16, 0, None)
        for step in range(3):
            feed.batch("stage", step, 16)
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert sum(data.counts().values()) == count
    per_image = (peaks[1500] - peaks[500]) / 1000
    assert per_image < 100, f"{per_image:.0f} bytes an image"


def test_the_table_on_disk_is_mapped_and_small(tmp_path: Path) -> None:
    place = many(tmp_path / "cells", 1000)
    prepare_data(place, settings(), tmp_path / "out")
    data = prepare_data(place, settings(), tmp_path)
    out = tmp_path / "run"
    data.keep(out)
    assert (out / "shards.npy").stat().st_size < 36 * 1000 + 1000
    again = prepare_data(place, settings(), out)
    assert isinstance(again.part("train").shards.rows, np.memmap)  # type: ignore[attr-defined]
    assert seen(again.part("test")) == seen(data.part("test"))
    kept = json.loads((out / "shards.json").read_text())
    assert kept["unit"] == "image"
    assert sum(sum(counts.values()) for counts in kept["parts"].values()) == 1000
    assert kept["parts"]["test"] == {"monocyte": 160, "platelet": 40}


def test_patients_and_equal_images_stay_whole(tmp_path: Path) -> None:
    def sample(i: int, patient: int | None) -> dict[str, bytes]:
        record: dict[str, object] = {"cell_type": TYPES[i % 2]}
        if patient is not None:
            record["patient"] = f"P{patient}"
        return {"json": json.dumps(record).encode(), "png": png(value=i % 7) + struct.pack("<I", i % 100)}

    by_patient = index_shards(shard(tmp_path / "a" / "0.tar", (sample(i, i % 30) for i in range(300))), 0.2, 0.3, 1)
    parts = by_patient.rows["part"].tolist()
    assert by_patient.unit == "patient"
    assert len(set(parts)) == 3
    assert all(len(set(parts[patient::30])) == 1 for patient in range(30))
    by_image = index_shards(shard(tmp_path / "b" / "0.tar", (sample(i, None) for i in range(700))), 0.2, 0.3, 1)
    where: dict[int, set[int]] = {}
    for row in by_image.rows:
        where.setdefault(int(row["digest"]), set()).add(int(row["part"]))
    assert by_image.unit == "image"
    assert all(len(found) == 1 for found in where.values())


def test_the_test_part_is_laid_out_as_a_folder(shards: Path, tmp_path: Path) -> None:
    data = prepare_data(shards, TrainingConfig(), tmp_path)
    folder = data.test_folder(tmp_path)
    assert folder is not None
    laid = read_manifest(folder)
    assert laid.counts == data.counts("test")
    assert seen(FolderImages(laid)) == seen(data.part("test"))
    assert data.test_folder(tmp_path) == folder


def test_the_librarys_own_writer_is_read(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    (tmp_path / "labels.json").write_text('["monocyte", "platelet"]')
    with webdataset.TarWriter(str(tmp_path / "train-0.tar")) as sink:
        for i in range(40):
            sink.write({"__key__": f"sub/{i:04d}", "jpg": np.full((20, 20, 3), i, np.uint8), "cls": i % 2})
    with webdataset.TarWriter(str(tmp_path / "train-1.tar")) as sink:
        sink.write({"__key__": "x", "png": np.zeros((20, 20, 3), np.uint8), "txt": "Thrombocyte", "seg.png": b"mask"})
    index = index_shards(tmp_path / "train-*.tar", 0.2, 0.2, 0)
    assert index.counts() == {"monocyte": 20, "platelet": 21}
    assert abs(int(index.read(7).mean()) - 7) <= 2


def test_a_folder_of_images_with_an_archive_in_it_stays_a_folder(
    drawn_cells: Path, shards: Path, tmp_path: Path
) -> None:
    assert has_shards(shards)
    assert has_shards(shards / "00*.tar")
    both = tmp_path / "both"
    shutil.copytree(drawn_cells, both)
    shutil.copy(shards / "000000.tar", both)
    assert not has_shards(both)


def bomb() -> bytes:
    """A PNG of 30,000 × 30,000 pixels, whose data need not be read to refuse it."""

    def chunk(content: bytes) -> bytes:
        return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))

    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(header) + chunk(b"IDAT" + zlib.compress(bytes(100))) + chunk(b"IEND")


GOOD = [{"png": png(value=i), "cls": b"monocyte"} for i in range(60)]


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        ({"png": bomb(), "cls": b"monocyte"}, r"a\.tar, sample 000000\.png has more than 64 million"),
        ({"png": b"no image", "cls": b"monocyte"}, r"000000\.png is not an image"),
        ({"png": png(side=8), "cls": b"monocyte"}, "8×8 pixels"),
        ({"png": png()}, "sample 000000 has no cell type"),
        ({"png": png(), "json": b"[" * 10_000}, "has no cell type"),
        ({"png": png(), "cls": b"3"}, "type number 3, which the folder's labels.json does not name"),
        ({"png": png(), "cls": b"9" * 5000}, "type number 9999"),
        ({"png": png(), "cls": b"platelet"}, "platelet has 1 image; training needs at least 2"),
        ({"png": png(), "cls": b"\xff\x00"}, r"cells"),
        ({str(i): b"" for i in range(40)}, "too much of one name"),
    ],
)
def test_a_sample_that_cannot_be_used_gives_a_sentence(sample: Mapping[str, bytes], says: str, tmp_path: Path) -> None:
    shard(tmp_path / "cells" / "a.tar", [sample])
    shard(tmp_path / "cells" / "b.tar", GOOD)
    with pytest.raises(InputError, match=says):
        prepare_data(tmp_path / "cells", settings(), tmp_path)


@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "a/../../evil.png"])
def test_a_name_that_leads_outside_is_refused(name: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member(archive, name, png())
    with pytest.raises(InputError, match=r"a\.tar holds “.*evil\.png”, which belongs in no shard"):
        index_shards(tmp_path, 0.1, 0.1, 0)


def test_damaged_shards_give_a_sentence(tmp_path: Path) -> None:
    whole = shard(tmp_path / "a.tar", GOOD).read_bytes()
    for content in (
        whole[: len(whole) // 2 + 100],
        b"",
        b"\x1f\x8b" + whole[2:],
        whole[:600] + b"\xff" * 512 + whole[1112:],
    ):
        (tmp_path / "a.tar").write_bytes(content)
        with pytest.raises(InputError, match=r"a\.tar"):
            index_shards(tmp_path, 0.1, 0.1, 0)
    with pytest.raises(InputError, match="no such shards"):
        index_shards(tmp_path / "b-*.tar", 0.1, 0.1, 0)


def test_two_spellings_that_may_be_two_types_are_refused(tmp_path: Path) -> None:
    spelt = [GOOD[0], {"png": png(), "cls": b"big blob"}, {"png": png(), "cls": b"Big_Blob"}]
    shard(tmp_path / "a.tar", spelt)
    with pytest.raises(InputError, match="differ only in case or punctuation"):
        index_shards(tmp_path, 0.1, 0.1, 0)


def test_shards_that_changed_under_a_run_are_refused(shards: Path, tmp_path: Path) -> None:
    cells = tmp_path / "cells"
    shutil.copytree(shards, cells)
    out = tmp_path / "run"
    data = prepare_data(cells, TrainingConfig(), out)
    data.keep(out)
    first = cells / "000000.tar"
    content = bytearray(first.read_bytes())
    content[int(data.part("train").shards.rows["offset"][0]) + 40] ^= 1  # type: ignore[attr-defined]
    first.write_bytes(content)
    whole = prepare_data(cells, TrainingConfig(), out)
    with pytest.raises(InputError, match=r"000000\.tar was changed after this run"):
        whole.part("train").shards.read(0)  # type: ignore[attr-defined]
    shutil.copy(shards / "000001.tar", cells / "000009.tar")
    with pytest.raises(InputError, match=r"holds other shards than when this run began \(see 000009\.tar\)"):
        prepare_data(cells, TrainingConfig(), out)
    (cells / "000009.tar").unlink()
    (out / "shards.npy").write_bytes(b"x")
    with pytest.raises(InputError, match="cannot be used"):
        prepare_data(cells, TrainingConfig(), out)
