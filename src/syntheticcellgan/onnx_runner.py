"""Cells from an exported generator, without PyTorch: this one file, NumPy, Pillow and ONNX Runtime are all that is needed.

    python onnx_runner.py cells.onnx --cell-type monocyte --count 8 --seed 0 --out cells

    from onnx_runner import Generator
    images = Generator("cells.onnx").generate("monocyte", count=8, seed=0)    # (8, 256, 256, 3) uint8

The noise is an input of the graph and is drawn here as SyntheticCellGAN draws it, so a seed gives the same cell: up to
rounding, one or two levels out of 255 in single pixels. For research, teaching and training, never for diagnosis.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from PIL.PngImagePlugin import PngInfo

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


class Generator:
    """An exported generator. cell_types: the types that it makes; bundle, bundle_id: where it comes from."""

    def __init__(self, path: str | Path, threads: int = 0) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        known = self.session.get_modelmeta().custom_metadata_map
        self.cell_types: list[str] = json.loads(known["cell_types"])
        self.bundle, self.bundle_id = known["bundle"], known["bundle_id"]
        shapes = {i.name: i.shape for i in self.session.get_inputs()}
        self._batch: int = shapes["types"][0]
        self._sizes = [tuple(shapes[name][1:]) for name in ("latent", "grain", "texture")]  # the order of drawing

    def generate(self, cell_type: str, count: int = 1, seed: int = 0, truncation: float = 1.0) -> np.ndarray:
        """(count, S, S, 3) uint8 of the seeds seed … seed + count − 1; ValueError for a type that it does not know."""
        return np.stack(list(self.stream(cell_type, count, seed, truncation)))

    def stream(self, cell_type: str, count: int, seed: int = 0, truncation: float = 1.0) -> Iterator[np.ndarray]:
        """The same one by one, in constant memory."""
        if cell_type not in self.cell_types:
            raise ValueError(f"no type “{cell_type}”; there are {', '.join(self.cell_types)}")
        for first in range(seed, seed + count, self._batch):
            seeds = range(first, min(first + self._batch, seed + count))
            padded = [*seeds] + [seeds[-1]] * (self._batch - len(seeds))
            drawn = [noise(cell_type, s, self._sizes) for s in padded]
            latent, grain, texture = (np.stack(parts) for parts in zip(*drawn, strict=True))
            types = np.full(self._batch, self.cell_types.index(cell_type), np.int64)
            inputs = {"latent": latent, "types": types, "grain": grain, "texture": texture}
            inputs["truncation"] = np.array(truncation, np.float32)
            (made,) = self.session.run(["images"], inputs)
            made = np.clip(np.round((made + 1) * np.float32(127.5)), 0, 255).astype(np.uint8)
            yield from made.transpose(0, 2, 3, 1)[: len(seeds)]


def noise(cell_type: str, seed: int, sizes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Standard normal noise of each size, from the type and the seed alone."""
    key = int.from_bytes(hashlib.sha256(f"{cell_type}\n{seed}".encode()).digest()[:16], "little")
    rng = np.random.Generator(np.random.Philox(key=key))
    return [rng.standard_normal(size, dtype=np.float32) for size in sizes]


def write(image: np.ndarray, path: Path, record: dict[str, object]) -> None:
    """A PNG that says that it is synthetic, and how to make it again."""
    info = PngInfo()
    info.add_text("Description", json.dumps({**record, "software": "onnx_runner", "synthetic": True}))
    info.add_itxt(
        "XML:com.adobe.xmp",
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>"
        "</rdf:Description></rdf:RDF></x:xmpmeta>",
    )
    Image.fromarray(image).save(path, pnginfo=info)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make cells with an exported generator.")
    parser.add_argument("model", help="the .onnx file")
    parser.add_argument("--cell-type", required=True)
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--truncation", type=float, default=1.0)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    generator = Generator(a.model)
    if a.cell_type not in generator.cell_types or a.count < 1 or a.seed < 0 or not 0 <= a.truncation <= 1.5:
        sys.exit(f"Types: {', '.join(generator.cell_types)}; count from 1, seed from 0, truncation 0 to 1.5.")
    a.out.mkdir(parents=True, exist_ok=True)
    for seed, image in enumerate(generator.stream(a.cell_type, a.count, a.seed, a.truncation), start=a.seed):
        record: dict[str, object] = {"bundle": generator.bundle, "bundle_id": generator.bundle_id}
        record |= {"cell_type": a.cell_type, "seed": seed, "truncation": a.truncation}
        write(image, a.out / f"{a.cell_type}-{seed:08d}.png", record)


if __name__ == "__main__":
    main()
