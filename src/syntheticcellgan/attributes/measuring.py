"""What is known of labelled cells, and of a network that learnt from them: how well it reads, what real cells show, from
which probability on a cell is chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from syntheticcellgan.attributes.labels import LabelledCells
from syntheticcellgan.bundle import Bundle
from syntheticcellgan.bundle_attributes import NEVER, Attribute, Attributes
from syntheticcellgan.networks.attribute_network import AttributeNetwork
from syntheticcellgan.noise import noises

CERTAIN = 0.8  # probability that always suffices for a cell to be chosen
CANDIDATES, TOGETHER = 1024, 64  # of each type, which show how probable the generator makes a value
FEWEST = 15  # measured cells of a type that give quantiles


@dataclass(frozen=True)
class CellsAsRead:
    """latents (N, C, h, w); types (N,); targets (N, attributes), −1 where nothing is said; sizes (N, sizes), NaN too."""

    latents: Tensor
    types: Tensor
    targets: Tensor
    sizes: Tensor


@torch.inference_mode()
def outputs_for(network: AttributeNetwork, known: CellsAsRead, rows: Tensor) -> Tensor:
    """What the network gives for these rows, (len(rows), outputs)."""
    parts = [network(known.latents[some], known.types[some]) for some in rows.split(256)]
    return torch.cat(parts)


def scored(
    network: AttributeNetwork,
    values: Mapping[str, tuple[str, ...]],
    known: CellsAsRead,
    trained: np.ndarray,
    test: Tensor,
) -> tuple[Attribute, ...]:
    """How well each attribute is named in the cells `test`; `values` are those of each, in the order of the outputs."""
    outputs, train = outputs_for(network, known, test), torch.from_numpy(np.flatnonzero(trained))
    result, start = [], 0
    for i, (name, options) in enumerate(values.items()):
        guess = outputs[:, start : start + len(options)].argmax(dim=1)
        start += len(options)
        said = known.targets[test, i] >= 0
        truth, kinds, right = (
            known.targets[test[said], i],
            known.types[test[said]],
            guess[said] == known.targets[test[said], i],
        )
        labelled = train[known.targets[train, i] >= 0]
        usual = {
            int(kind): int(known.targets[labelled[known.types[labelled] == kind], i].mode().values)
            for kind in known.types[labelled].unique()
        }
        by_type = torch.tensor([usual.get(int(kind), -1) for kind in kinds])
        shares = [float(right[truth == v].float().mean()) for v in truth.unique()]
        result.append(
            Attribute(
                name,
                options,
                len(labelled),
                int(said.sum()),
                float(right.float().mean()) if len(right) else 0.0,
                float(np.mean(shares)) if shares else 0.0,
                float((by_type == truth).float().mean()) if len(right) else 0.0,
            )
        )
    return tuple(result)


def correlation(outputs: Tensor, known: CellsAsRead, place: int, test: Tensor) -> tuple[int, float]:
    """Number of cells and Pearson's correlation between measured and predicted, each less its type's mean."""
    truth, guess = known.sizes[test, place].numpy().copy(), outputs.numpy().copy()
    there = np.isfinite(truth)
    truth, guess, kinds = truth[there], guess[there], known.types[test].numpy()[there]
    for kind in np.unique(kinds):
        for numbers in (truth, guess):
            numbers[kinds == kind] -= numbers[kinds == kind].mean()
    n = len(truth)
    usable = n > 2 and truth.std() > 0 and guess.std() > 0
    return n, float(np.corrcoef(truth, guess)[0, 1]) if usable else 0.0


def quantiles_of(values: np.ndarray, cell_types: Sequence[str], trained: np.ndarray) -> dict[str, tuple[float, ...]]:
    """21 quantiles of the values of the training cells of each type, where there are enough; NaN are left out."""
    result = {}
    for name in sorted(set(cell_types)):
        own = values[trained & (np.array(cell_types) == name)]
        own = own[np.isfinite(own)]
        if len(own) >= FEWEST:
            result[name] = tuple(round(float(q), 4) for q in np.quantile(own, np.linspace(0, 1, 21)))
    return result


def combinations(
    cells: LabelledCells, values: Mapping[str, tuple[str, ...]]
) -> dict[str, dict[tuple[str | None, ...], int]]:
    """How many training cells of each type show each combination of values, see `Attributes`."""
    found: dict[str, Counter[tuple[str | None, ...]]] = {}
    for name, label, own in zip(cells.cell_types, cells.labels, cells.trained_on, strict=True):
        shown = tuple(v if (v := label.get(key)) in options else None for key, options in values.items())
        if own and any(value is not None for value in shown):
            found.setdefault(name, Counter())[shown] += 1
    return {name: dict(counts) for name, counts in found.items()}


@torch.inference_mode()
def marks(bundle: Bundle, attributes: Attributes) -> dict[str, dict[str, tuple[float | None, ...]]]:
    """The probability of each value from which a cell is chosen for it: `CERTAIN`; where the network is seldom so sure, as
    much as the upper ones of the generator's own cells have, half as many as real cells show the value.
    """
    found: dict[str, dict[str, tuple[float | None, ...]]] = {}
    for name in attributes.combinations:
        (noise,) = noises([(name, seed) for seed in range(CANDIDATES)], [(bundle.chain.generator.latent_size,)])
        types = torch.full((CANDIDATES,), bundle.chain.cell_types.index(name))
        parts = [
            bundle.generator(z, t, decode=False)
            for z, t in zip(noise.split(TOGETHER), types.split(TOGETHER), strict=True)
        ]
        shares, _ = attributes.scores(torch.cat(parts), types)
        found[name] = {}
        for one in attributes.attributes:
            counts = attributes.counts(name, one.name)
            row: list[float | None] = []
            for place, value in enumerate(one.values):
                if counts[value] < NEVER:
                    row.append(None)
                    continue
                upper = torch.quantile(shares[one.name][:, place], 1 - counts[value] / counts.total() / 2)
                row.append(min(CERTAIN, round(float(upper), 4)))
            found[name][one.name] = tuple(row)
    return found
