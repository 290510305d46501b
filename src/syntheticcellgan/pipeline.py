"""The chain at work: cell type and seed → finished image.

Image = f(bundle, cell type, seed, truncation, style, wanted features), nothing else; its last bits also of what computes it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from syntheticcellgan.bundle import Bundle, load_bundle
from syntheticcellgan.cell_types import nearest, resolve, slug
from syntheticcellgan.engine import Engine, InPyTorch, Networks, Precision, networks_of
from syntheticcellgan.errors import InputError
from syntheticcellgan.networks.degradation import degrade
from syntheticcellgan.noise import key_of, noises
from syntheticcellgan.pixels import to_uint8
from syntheticcellgan.steering import Choice, Steering, cell_of

if TYPE_CHECKING:
    from syntheticcellgan.stain.look import Look
    from syntheticcellgan.stain.style import Style

MICRO_BATCH = 4
"""Images that go through the networks together, always: with one shape the sums inside are always added in one order."""

MAX_COUNT = 1_000_000
MAX_STEPS = 1_000
MAX_SEED = 2**63 - 1
LOOK_CELLS = 40
"""Cells, of all types alike, that a bundle's own look is measured on."""


@dataclass(frozen=True)
class Cell:
    """One synthetic cell: image (S, S, 3) and its basic image (R, R, 3), uint8, and what determined it.

    candidate, predicted: see `steering.Choice`; 0 and nothing where no features were wanted.
    """

    image: np.ndarray
    basic: np.ndarray
    cell_type: str
    seed: int
    candidate: int = 0
    predicted: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cells:
    """Several: images (N, S, S, 3) and basic (N, R, R, 3), uint8; cell_types, seeds, candidates and predicted of length N."""

    images: np.ndarray
    basic: np.ndarray
    cell_types: list[str]
    seeds: list[int]
    candidates: list[int] = field(default_factory=list)
    predicted: list[Mapping[str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.seeds)


class SyntheticCellGAN:
    """A loaded bundle, ready to generate on the CPU.

    style: the laboratory whose look its cells get. steering: what chooses cells with wanted features. networks: what
    computes them, PyTorch in float32 if not given; see `load`.
    """

    def __init__(
        self,
        bundle: Bundle,
        style: Style | None = None,
        steering: Steering | None = None,
        networks: Networks | None = None,
    ) -> None:
        self.networks = InPyTorch(bundle) if networks is None else networks
        self.bundle = bundle
        self.chain = bundle.chain
        self.style = style
        self.steering = steering

    @classmethod
    def load(cls, bundle: str | Path, precision: Precision = "float32", engine: Engine = "pytorch") -> SyntheticCellGAN:
        """Load a bundle's folder or zip, or a shipped one by its name (`pbc-256`).

        Args:
            precision: `bfloat16` is 1.5 to 2 times as fast on processors that multiply in it (AMX, AVX-512 BF16), slower on
                others. A seed then gives the same cell with slightly other pixels: 0.2 levels of 255 on average, a few
                levels at most; files say so.
            engine: `openvino` (extra `openvino`) is quicker once it has compiled the networks, some seconds; pixels differ by
                a level at most, in bfloat16 as above; files say so. Where it cannot be used the log says why, and PyTorch is.

        Raises:
            InputError: see `bundle.load_bundle`; no such precision or engine.
        """
        loaded = load_bundle(bundle)
        return cls(loaded, networks=networks_of(loaded, precision, engine, MICRO_BATCH))

    @property
    def cell_types(self) -> tuple[str, ...]:
        """The types that it can make."""
        return self.chain.cell_types

    @cached_property
    def look_cells(self) -> list[np.ndarray]:
        """At least 40 cells in the bundle's own look, (S, S, 3) uint8, of all types alike, seeds 0, 1, 2 …"""
        each = -(-LOOK_CELLS // len(self.cell_types))
        return list(SyntheticCellGAN(self.bundle).generate(self.cell_types, each).images)

    @cached_property
    def look(self) -> Look:
        """The look of the bundle's own cells (some seconds, once)."""
        from syntheticcellgan.stain.look import fit

        return fit(self.look_cells, self.bundle.name)

    def in_style(self, style: str | Path | Look) -> SyntheticCellGAN:
        """The same bundle, its cells in the look of a laboratory.

        Args:
            style: a folder with at least 20 of the laboratory's images (unlabelled), the file of a look that
                `scg stain fit` wrote, or a look.

        Raises:
            InputError: too few images, an image that cannot be read, or no look.
        """
        from syntheticcellgan.stain.sources import look_of
        from syntheticcellgan.stain.style import Style

        target = look_of(style) if isinstance(style, str | Path) else style
        return SyntheticCellGAN(self.bundle, Style(self.look, target), self.steering, self.networks)

    def steered(self, wanted: Mapping[str, str]) -> SyntheticCellGAN:
        """The same bundle, its cells chosen to show what is wanted: {"cytoplasm_vacuole": "yes", "nucleus_area": "large"}.

        Raises:
            InputError: the bundle knows no such attribute or value.
        """
        steering = Steering(self.bundle, wanted) if wanted else None
        return SyntheticCellGAN(self.bundle, self.style, steering, self.networks)

    @property
    def wanted(self) -> Mapping[str, str]:
        """The wanted features by the bundle's own names; nothing where cells are not chosen."""
        return self.steering.wanted if self.steering else {}

    def find_type(self, name: str) -> str:
        """The bundle's own name of a type given by any of its names.

        Raises:
            InputError: the bundle does not know the type; proposes the nearest.
        """
        if name in self.cell_types:
            return name
        if slug(name) and resolve(name).name in self.cell_types:
            return resolve(name).name
        near = nearest(name, self.cell_types)
        hint = f"; did you mean “{near}”?" if near else "."
        raise InputError(f"The bundle knows no cell type “{name}”{hint} It knows {', '.join(self.cell_types)}.")

    def generate(
        self,
        cell_type: str | Sequence[str],
        count: int = 1,
        seed: int = 0,
        truncation: float = 1.0,
        progress: Callable[[int], None] | None = None,
        style: str | Path | Look | None = None,
        wanted: Mapping[str, str] | None = None,
    ) -> Cells:
        """Make `count` cells of each named type, of the seeds seed … seed + count − 1.

        Args:
            truncation: 1 draws from everything learnt; towards 0 the cells come nearer to the type's average.
            progress: called with the number of images finished so far.
            style: the laboratory in whose look the cells appear, as in `in_style`; their basic images keep the
                bundle's own.
            wanted: features that every cell is to show, as in `steered`; {} takes those of `steered` back.

        Raises:
            InputError: unknown type, or a count, seed or truncation out of range, or no look to be had from `style`, or
                features that the bundle does not know or cannot show.
        """
        if not 1 <= count <= MAX_COUNT:
            raise InputError(
                f"count is {count}; it can be 1 to {MAX_COUNT:,}. For more, write them with `scg generate`."
            )
        check_seeds(seed, count)
        names = [self.find_type(name) for name in ([cell_type] if isinstance(cell_type, str) else cell_type)]
        if not names:
            raise InputError(f"No cell type was named. The bundle knows {', '.join(self.cell_types)}.")
        chain = self if style is None else self.in_style(style)
        chain = chain if wanted is None else chain.steered(wanted)
        chain.check_features(names)
        total, side, basic_side = len(names) * count, self.chain.output_size, self.chain.generator.resolution
        cells = Cells(
            np.empty((total, side, side, 3), np.uint8), np.empty((total, basic_side, basic_side, 3), np.uint8), [], []
        )
        for i, cell in enumerate(chain.stream(((name, seed + i) for name in names for i in range(count)), truncation)):
            cells.images[i], cells.basic[i] = cell.image, cell.basic
            cells.cell_types.append(cell.cell_type)
            cells.seeds.append(cell.seed)
            cells.candidates.append(cell.candidate)
            cells.predicted.append(cell.predicted)
            if progress:
                progress(i + 1)
        return cells

    def check_features(self, cell_types: Iterable[str]) -> None:
        """InputError unless real cells of all these types show what is wanted."""
        if self.steering is not None:
            for name in cell_types:
                self.steering.check(name)

    def stream(self, requests: Iterable[tuple[str, int]], truncation: float = 1.0) -> Iterator[Cell]:
        """Cells for (cell type, seed) pairs, in order, one by one and in constant memory.

        Raises:
            InputError: as `generate`; for an unknown type or a seed out of range when the pair is reached.
        """
        check_truncation(truncation)
        return self._stream(iter(requests), truncation)

    def _stream(self, remaining: Iterator[tuple[str, int]], truncation: float) -> Iterator[Cell]:
        with _workers() as (pool, count):
            waiting: deque[Future[list[Cell]]] = deque()
            while True:
                while len(waiting) < 2 * count and (chunk := list(islice(remaining, MICRO_BATCH))):
                    for _, seed in chunk:
                        check_seeds(seed)
                    named = [(self.find_type(name), int(seed)) for name, seed in chunk]
                    waiting.append(pool.submit(self._micro_batch, named, truncation))
                if not waiting:
                    return
                yield from waiting.popleft().result()

    @torch.inference_mode()
    def _micro_batch(self, chunk: list[tuple[str, int]], truncation: float) -> list[Cell]:
        padded = chunk + [chunk[-1]] * (MICRO_BATCH - len(chunk))
        choices = [self.chosen(name, seed, truncation) for name, seed in chunk]
        choices += [choices[-1]] * (MICRO_BATCH - len(chunk))
        style, grain, texture = self._drawn(padded, truncation, [choice.candidate for choice in choices])
        images, basics = self.rendered(style, self._types(padded), grain, texture)
        cells = [
            Cell(images[i], basics[i], name, seed, choices[i].candidate, choices[i].predicted)
            for i, (name, seed) in enumerate(chunk)
        ]
        if self.style is None:
            return cells
        return [replace(cell, image=self.style(cell.image, key_of(cell.cell_type, cell.seed))) for cell in cells]

    def chosen(self, name: str, seed: int, truncation: float) -> Choice:
        """Which of a seed's candidates is made; for the same answer everywhere, with one thread."""
        return self.steering.choose(name, seed, truncation) if self.steering else Choice(0, {})

    def _types(self, chunk: list[tuple[str, int]]) -> Tensor:
        return torch.tensor([self.cell_types.index(name) for name, _ in chunk])

    def _drawn(
        self, chunk: list[tuple[str, int]], truncation: float, candidates: Sequence[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Style vectors, grain of the basic image and noise of the translator for the candidate of each pair."""
        cells = [cell_of(*pair, candidate) for pair, candidate in zip(chunk, candidates, strict=True)]
        latent, grain, texture = noises(cells, self.chain.noise_sizes)
        return self.bundle.styles(latent, self._types(chunk), truncation), grain, texture

    def rendered(self, style: Tensor, types: Tensor, grain: Tensor, texture: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Finished and basic images, uint8. types: (N,) int64, or shares of each type (N, K)."""
        basic = self.networks.basic(style)
        level = torch.full((MICRO_BATCH,), self.chain.translator.level)
        degraded = degrade(basic, level, grain)
        return to_uint8(self.networks.finished(degraded, types, level, texture)), to_uint8(basic)

    def walk(
        self,
        start: tuple[str, int],
        end: tuple[str, int],
        steps: int = 17,
        truncation: float = 1.0,
        wanted_at_end: Mapping[str, str] | None = None,
    ) -> np.ndarray:
        """The way from one cell to another, both given as (cell type, seed), through what lies between them.

        Style vectors change evenly (Karras et al. 2019, A Style-Based Generator Architecture, section 4); noise is mixed
        so that its variance stays one. Between two types lie forms that no cell need have.

        Args:
            wanted_at_end: features of the last cell, where they are not those of `steered`.

        Returns:
            (steps, S, S, 3) uint8. The first and the last are the cells that `generate` makes.

        Raises:
            InputError: unknown type, or a seed, truncation or number of steps out of range, or as `generate` for wanted
                features.
        """
        if not 2 <= steps <= MAX_STEPS:
            raise InputError(f"steps is {steps}; a walk can have 2 to {MAX_STEPS}.")
        check_truncation(truncation)
        ends = [(self.find_type(name), int(seed)) for name, seed in (start, end)]
        for _, seed in ends:
            check_seeds(seed)
        shares = np.linspace(0, 1, steps).tolist()
        chunks = [shares[i : i + MICRO_BATCH] for i in range(0, steps, MICRO_BATCH)]
        chains = self, self if wanted_at_end is None else self.steered(wanted_at_end)
        for chain, (name, _) in zip(chains, ends, strict=True):
            chain.check_features([name])
        with _workers() as (pool, _):
            chosen = list(pool.map(lambda chain, end: chain.chosen(*end, truncation).candidate, chains, ends))
            return np.concatenate(list(pool.map(lambda chunk: self._between(ends, chosen, chunk, truncation), chunks)))

    @torch.inference_mode()
    def _between(
        self, ends: list[tuple[str, int]], chosen: list[int], shares: list[float], truncation: float
    ) -> np.ndarray:
        padded = torch.tensor(shares + [shares[-1]] * (MICRO_BATCH - len(shares)))
        drawn = [
            self._drawn([end] * MICRO_BATCH, truncation, [candidate] * MICRO_BATCH)
            for end, candidate in zip(ends, chosen, strict=True)
        ]
        kinds = [torch.nn.functional.one_hot(self._types([end] * MICRO_BATCH), len(self.cell_types)) for end in ends]
        (style_a, *noises_a), (style_b, *noises_b) = drawn
        a, b = 1 - padded[:, None], padded[:, None]
        norm = (a**2 + b**2).sqrt()[..., None, None]
        grain, texture = (
            (a[..., None, None] * x + b[..., None, None] * y) / norm for x, y in zip(noises_a, noises_b, strict=True)
        )
        images, _ = self.rendered(a * style_a + b * style_b, a * kinds[0] + b * kinds[1], grain, texture)
        if self.style is None:
            return images[: len(shares)]
        keys = [key_of(*ends[share == 1]) for share in shares]
        return np.stack([self.style(image, key) for image, key in zip(images, keys, strict=False)])


def check_truncation(truncation: float) -> None:
    """InputError unless it lies between 0 and 1.5."""
    if not 0 <= truncation <= 1.5:
        raise InputError(f"truncation is {truncation}; it can be 0 (the type's average) to 1.5.")


def check_seeds(first: int, count: int = 1) -> None:
    """InputError unless first … first + count − 1 all lie between 0 and 2⁶³ − 1."""
    if not (first >= 0 and first + count - 1 <= MAX_SEED):
        raise InputError(f"seed is {first}; the seeds of {count:,} images can lie between 0 and {MAX_SEED}.")


@contextmanager
def _workers() -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """As many workers as torch may use threads, each of one thread: sums split over threads differ in the last bit, and
    whole micro-batches side by side are quicker than one micro-batch split up.
    """
    count = torch.get_num_threads()
    with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            yield pool, count
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(count)  # the workers' setting reaches libraries that know only one for all
