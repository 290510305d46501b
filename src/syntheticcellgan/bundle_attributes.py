"""What a bundle may know of its cells' attributes: a network that reads them from a latent, and how often real cells
of each type show them. Two optional files: `attributes.json` and `attributes.safetensors`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor

from syntheticcellgan.bundle_tensors import Unfilled, read_tensors
from syntheticcellgan.cell_types import slug
from syntheticcellgan.config import ChainConfig
from syntheticcellgan.errors import InputError
from syntheticcellgan.networks.attribute_network import AttributeNetwork
from syntheticcellgan.networks.blocks import channels_last

RECORD, WEIGHTS = "attributes.json", "attributes.safetensors"
FORMAT = 1
MOST = 1000  # outputs in all
NEVER = 5
"""Real training cells of a type that must show a value: fewer may be slips of those who labelled them."""
K = TypeVar("K")


@dataclass(frozen=True)
class Attribute:
    """A property with named values. The figures are from n_test real cells that its training did not see.

    accuracy: share that it names rightly. balanced: mean of that over the values. usual: what naming the commonest value
    of each cell's type would reach.
    """

    name: str
    values: tuple[str, ...]
    n_train: int
    n_test: int
    accuracy: float
    balanced: float
    usual: float


@dataclass(frozen=True)
class Size:
    """A measured property, such as an area. The network gives (log value − mean) / scale.

    quantiles: per cell type, 21 values, from the smallest to the largest real cell in steps of 5 %. correlation: between
    measured and predicted on n_test real cells that its training did not see, within their types.
    """

    name: str
    unit: str
    mean: float
    scale: float
    quantiles: Mapping[str, tuple[float, ...]]
    n_train: int
    n_test: int
    correlation: float


@dataclass(frozen=True)
class Attributes:
    """All that is known. source: the table that it was learnt from; licence: the table's; measured_on: which images.

    combinations: per cell type, the values that real training cells show, one for each of `attributes` (None where the
    table says nothing), and how many show just these. marks: per cell type and attribute, for each value the probability
    that a cell must have of it to be chosen for it; None where its real cells do not show the value.
    """

    source: str
    licence: str
    measured_on: str
    attributes: tuple[Attribute, ...]
    sizes: tuple[Size, ...]
    combinations: Mapping[str, Mapping[tuple[str | None, ...], int]]
    marks: Mapping[str, Mapping[str, tuple[float | None, ...]]]
    network: AttributeNetwork

    def names(self) -> tuple[str, ...]:
        """Every attribute and size."""
        return (*(one.name for one in self.attributes), *(one.name for one in self.sizes))

    def attribute(self, name: str) -> Attribute | None:
        """The attribute of this name."""
        return next((one for one in self.attributes if one.name == name), None)

    def size(self, name: str) -> Size | None:
        """The size of this name."""
        return next((one for one in self.sizes if one.name == name), None)

    def counts(self, cell_type: str, name: str) -> Counter[str]:
        """How many real training cells of the type show each value of the attribute."""
        place = [one.name for one in self.attributes].index(name)
        found: Counter[str] = Counter()
        for values, count in self.combinations.get(cell_type, {}).items():
            value = values[place]
            if value is not None:
                found[value] += count
        return found

    def together(self, cell_type: str, wanted: Mapping[str, str]) -> tuple[int, int]:
        """How many real training cells of the type show all these values, and of how many all is known."""
        names = [one.name for one in self.attributes]
        places = [(names.index(name), value) for name, value in wanted.items()]
        show = known = 0
        for values, count in self.combinations.get(cell_type, {}).items():
            if all(values[place] is not None for place, _ in places):
                known += count
                show += count if all(values[place] == value for place, value in places) else 0
        return show, known

    def scores(self, latents: Tensor, types: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Probability of each value of each attribute, (N, values), and each size in its own unit, (N,).

        latents: (N, latent_channels, R/8, R/8); types: (N,) int64.
        """
        return self.split(self.network(latents, types))

    def split(self, outputs: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """As `scores`, of what the network gave, (N, outputs)."""
        widths = [len(one.values) for one in self.attributes]
        ends = list(accumulate(widths, initial=0))
        shares = {
            one.name: outputs[:, start:end].softmax(dim=1)
            for one, start, end in zip(self.attributes, ends[:-1], ends[1:], strict=True)
        }
        rest = outputs[:, ends[-1] :].unbind(dim=1)
        return shares, {one.name: (one.mean + one.scale * x).exp() for one, x in zip(self.sizes, rest, strict=True)}

    def files(self) -> dict[str, bytes]:
        """The two files of a bundle."""
        record = {
            "format": FORMAT,
            "source": self.source,
            "licence": self.licence,
            "measured_on": self.measured_on,
            "attributes": [asdict(one) for one in self.attributes],
            "sizes": [asdict(one) for one in self.sizes],
            "combinations": {
                name: [[list(values), count] for values, count in sorted(kept.items(), key=repr)]
                for name, kept in sorted(self.combinations.items())
            },
            "marks": {name: {key: list(row) for key, row in rows.items()} for name, rows in self.marks.items()},
        }
        weights = {name: tensor.detach().half().contiguous() for name, tensor in self.network.state_dict().items()}
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        return {RECORD: text.encode() + b"\n", WEIGHTS: save_tensors(weights)}

    def card(self) -> dict[str, Any]:
        """What the card of the bundle says of it."""
        return {
            "source": self.source,
            "licence": self.licence,
            "measured_on": self.measured_on,
            "predictors": [
                {
                    "name": one.name,
                    "n_train": one.n_train,
                    "n_test": one.n_test,
                    "accuracy": one.accuracy,
                    "balanced": one.balanced,
                    "usual": one.usual,
                }
                for one in self.attributes
            ],
            "sizes": [
                {"name": one.name, "unit": one.unit, "n_test": one.n_test, "correlation": one.correlation}
                for one in self.sizes
            ],
            "shares": {
                one.name: {
                    value: {
                        name: round(counts[value] / counts.total(), 4)
                        for name in sorted(self.combinations)
                        if (counts := self.counts(name, one.name)).total()
                    }
                    for value in one.values
                }
                for one in self.attributes
            },
        }


def outputs_of(values: Mapping[str, tuple[str, ...]], sizes: int) -> int:
    """How many numbers the network gives for these attributes and so many sizes."""
    return sum(map(len, values.values())) + sizes


def read_attributes(record: bytes, weights: bytes, chain: ChainConfig, path: Path) -> Attributes:
    """What the two files of a bundle hold; `path` is the bundle's, for messages.

    Raises:
        InputError: they are damaged, or belong to another chain.
    """
    try:
        kept = json.loads(record)
        if kept["format"] != FORMAT:
            raise ValueError(f"format {kept['format']!r} is not {FORMAT}; use the version that wrote it")
        attributes = tuple(Attribute(**{**one, "values": tuple(one["values"])}) for one in kept["attributes"])
        sizes = tuple(
            Size(**{**one, "quantiles": {t: tuple(map(float, q)) for t, q in one["quantiles"].items()}})
            for one in kept["sizes"]
        )
        combinations = {
            name: {tuple(values): int(count) for values, count in rows} for name, rows in kept["combinations"].items()
        }
        _check(attributes, sizes, combinations, chain)
        marks = _read_marks(kept["marks"], attributes)
        source, licence, measured_on = (str(kept[key]) for key in ("source", "licence", "measured_on"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: {RECORD} is damaged ({error}). Copy the bundle anew.") from error
    with torch.device("meta"), Unfilled():
        outputs = outputs_of({one.name: one.values for one in attributes}, len(sizes))
        network = AttributeNetwork(chain, outputs)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    network.load_state_dict(read_tensors(weights, shapes, path, WEIGHTS), assign=True)
    network = channels_last(network).eval().requires_grad_(False)
    return Attributes(source, licence, measured_on, attributes, sizes, combinations, marks, network)


def _read_marks(
    kept: Mapping[str, Mapping[str, list[float | None]]], attributes: tuple[Attribute, ...]
) -> dict[str, dict[str, tuple[float | None, ...]]]:
    marks = {name: {key: tuple(row) for key, row in rows.items()} for name, rows in kept.items()}
    values = {one.name: one.values for one in attributes}
    for rows in marks.values():
        for key, row in rows.items():
            if len(row) != len(values[key]) or not all(mark is None or 0 <= mark <= 1 for mark in row):
                raise ValueError(f"the marks of {key} are not one probability per value")
    return marks


def _check(
    attributes: tuple[Attribute, ...],
    sizes: tuple[Size, ...],
    combinations: Mapping[str, Mapping[tuple[str | None, ...], int]],
    chain: ChainConfig,
) -> None:
    names = [*(one.name for one in attributes), *(one.name for one in sizes)]
    if len(set(names)) < len(names) or not all(isinstance(name, str) and slug(name) == name for name in names):
        raise ValueError("two attributes have one name, or a name is no identifier")
    for one in attributes:
        if len(one.values) < 2 or not all(isinstance(value, str) for value in one.values):
            raise ValueError(f"{one.name} has no two values")
    if not 1 <= sum(len(one.values) for one in attributes) + len(sizes) <= MOST:
        raise ValueError(f"1 to {MOST} values are allowed")
    if not set(combinations) <= set(chain.cell_types):
        raise ValueError("it tells of cell types that the bundle does not make")
    for rows in combinations.values():
        if any(len(values) != len(attributes) for values in rows):
            raise ValueError("a combination has not one value per attribute")
    for size in sizes:
        if any(len(row) != 21 for row in size.quantiles.values()):
            raise ValueError(f"{size.name} has not 21 quantiles")
