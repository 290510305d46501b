"""From labelled real cells to the network that reads attributes and sizes from a bundle's latents.

Real cells enter as the generator's own cells do: as latents, through the bundle's encoder. So the network sees what the
low-resolution stage can show, and nothing finer. It learns from training images alone; what it is worth is measured on
images that the bundle was not trained on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from syntheticcellgan.attributes.labels import LabelledCells
from syntheticcellgan.attributes.measuring import (
    CellsAsRead,
    combinations,
    correlation,
    marks,
    outputs_for,
    quantiles_of,
    scored,
)
from syntheticcellgan.bundle import Bundle
from syntheticcellgan.bundle_attributes import Attributes, Size, outputs_of
from syntheticcellgan.bundle_training import read_training
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.morphology import NOT_NUCLEATED
from syntheticcellgan.networks.attribute_network import AttributeNetwork
from syntheticcellgan.networks.autoencoder import Autoencoder
from syntheticcellgan.networks.blocks import channels_last
from syntheticcellgan.pixels import to_tensor
from syntheticcellgan.segmentation import segment

MINIMUM = 60  # labelled training cells of an attribute
MINIMUM_TEST = 20  # cells that the bundle was not trained on; with fewer, training cells kept back are measured on
MINIMUM_VALUE = 15  # of one of its values; rarer ones are left out
MOST_VALUES = 20  # more are no names of a property but numbers or remarks
SEGMENTED = 200  # training cells of each type whose sizes are measured; a third as many others
EPOCHS, BATCH, RATE, DECAY = 30, 64, 2e-3, 0.02
NOISE, DROPOUT = 0.15, 0.3  # the first on latents of root mean square 1
KEPT_BACK = 0.15  # of the training cells, to find the temperature with
SIZES = {"cell_area": "pixels", "nucleus_area": "pixels", "nc_ratio": "nucleus : cell"}

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Fitted:
    """left_out: columns that no predictor was made for, and why."""

    attributes: Attributes
    left_out: Mapping[str, str]


def fit_attributes(
    bundle: Bundle,
    cells: LabelledCells,
    source: str,
    licence: str,
    seed: int = 0,
    progress: Progress | None = None,
    epochs: int | None = None,
) -> Fitted:
    """Learn attributes and sizes from real cells.

    Args:
        source: the table's name, for the card; licence: the table's.

    Raises:
        InputError: the bundle has no encoder or was trained blind to types, an image cannot be read, or nothing can be
            learnt because too few cells are labelled or measurable.
    """
    tell = progress or (lambda what, done, total: None)
    if bundle.chain.generator.mode != "typed":
        raise InputError(
            f"{bundle.path} was trained in mode basic: its first stage knows no types and shows no nucleus that could be "
            "chosen. Train with --mode typed to steer."
        )
    trained = cells.trained_on
    values, left_out = _values([label for label, own in zip(cells.labels, trained, strict=True) if own])
    latents, sizes = _seen(bundle, cells, tell)
    types = torch.tensor([bundle.chain.cell_types.index(name) for name in cells.cell_types])
    targets = torch.tensor(
        [[options.index(v) if (v := label.get(name)) in options else -1 for name, options in values.items()]
         for label in cells.labels]
    ).view(len(types), len(values))  # fmt: skip
    measured = [name for name in SIZES if np.isfinite(sizes[name][trained]).sum() >= MINIMUM]
    if not values and not measured:
        raise InputError(
            f"Nothing can be learnt: no column has {MINIMUM} training cells and two values of {MINIMUM_VALUE} cells, and "
            f"fewer than {MINIMUM} cells could be measured."
        )
    logs = np.log(np.stack([sizes[name] for name in measured], axis=1)) if measured else np.empty((len(types), 0))
    centre, spread = np.nanmean(logs[trained], axis=0), np.maximum(np.nanstd(logs[trained], axis=0), 1e-3)
    known = CellsAsRead(latents, types, targets, torch.from_numpy((logs - centre) / spread).float())
    tells = ((known.targets >= 0).any(dim=1) | known.sizes.isfinite().any(dim=1)).numpy()
    order = np.random.default_rng(seed).permutation(np.flatnonzero(trained & tells))
    back = round(KEPT_BACK * len(order))
    widths = [len(options) for options in values.values()]
    network = channels_last(AttributeNetwork(bundle.chain, outputs_of(values, len(measured))))
    _learn(network, widths, known, torch.from_numpy(order[back:]), seed, epochs or EPOCHS, tell)
    network.eval().requires_grad_(False)
    _calibrate(network, widths, known, torch.from_numpy(order[:back]))
    network.load_state_dict({name: tensor.half().float() for name, tensor in network.state_dict().items()})
    enough = int((~trained).sum()) >= MINIMUM_TEST
    test = torch.from_numpy(np.flatnonzero(~trained) if enough else order[:back])
    found = []
    for i, name in enumerate(measured):
        n, r = correlation(outputs_for(network, known, test)[:, sum(widths) + i], known, i, test)
        quantiles = quantiles_of(sizes[name], cells.cell_types, trained)
        n_train = int(np.isfinite(sizes[name][trained]).sum())
        found.append(Size(name, SIZES[name], float(centre[i]), float(spread[i]), quantiles, n_train, n, r))
    attributes = Attributes(
        source,
        licence,
        "images that the bundle was not trained on" if enough else "training images kept back, which the bundle knew",
        scored(network, values, known, trained, test),
        tuple(found),
        combinations(cells, values),
        {},
        network,
    )
    attributes = replace(attributes, marks=marks(bundle, attributes))
    return Fitted(attributes, left_out)


def _values(labels: Sequence[Mapping[str, str]]) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """The values of each column that can be learnt, and why the others cannot."""
    kept: dict[str, tuple[str, ...]] = {}
    left_out: dict[str, str] = {}
    for name in sorted({name for label in labels for name in label}):
        counts = Counter(label[name] for label in labels if label.get(name))
        often = tuple(sorted(value for value, count in counts.items() if count >= MINIMUM_VALUE))
        n = sum(counts[value] for value in often)
        if name in SIZES:
            left_out[name] = "a size of this name is measured from the images"
        elif len(counts) > 5 * MOST_VALUES or len(often) > MOST_VALUES:
            left_out[name] = f"{len(counts)} different values; a property has at most {MOST_VALUES}"
        elif len(often) < 2 or n < MINIMUM:
            left_out[name] = (
                f"{len(often)} values that at least {MINIMUM_VALUE} training cells show, {n} cells; two values and "
                f"{MINIMUM} cells are needed"
            )
        else:
            kept[name] = often
    return kept, left_out


@torch.inference_mode()
def _seen(bundle: Bundle, cells: LabelledCells, tell: Progress) -> tuple[Tensor, dict[str, np.ndarray]]:
    """Latents of all cells, and sizes of some of them; NaN where none was measured."""
    autoencoder = Autoencoder(bundle.chain)
    kept = read_training(bundle.training, bundle.chain, bundle.path).get("autoencoder")
    if not kept:
        raise InputError(f"{bundle.path} carries no encoder (training.safetensors), which attributes are read with.")
    autoencoder.load_state_dict(kept)
    encoder = channels_last(autoencoder.encoder).eval()
    side, total = bundle.chain.generator.resolution, len(cells.paths)
    sizes = {name: np.full(total, np.nan) for name in SIZES}
    measured: Counter[tuple[str, bool]] = Counter()
    parts: list[Tensor] = []
    waiting: list[np.ndarray] = []
    for i, path in enumerate(cells.paths):
        image = read_image(path)
        waiting.append(resize_square(image, side))
        key = cells.cell_types[i], bool(cells.trained_on[i])
        if measured[key] < (SEGMENTED if key[1] else SEGMENTED // 3):
            measured[key] += 1
            flat = cells.cell_types[i] in NOT_NUCLEATED
            for name, value in _sizes(resize_square(image, bundle.chain.output_size), flat).items():
                sizes[name][i] = value
        if len(waiting) == BATCH or i == total - 1:
            parts.append(encoder(to_tensor(np.stack(waiting))))
            waiting.clear()
            tell("looking at cells", i + 1, total)
    return torch.cat(parts), sizes


def _sizes(image: np.ndarray, flat: bool) -> dict[str, float]:
    found = segment(image)
    cell, nucleus = int(found.cell.sum()), int(found.nucleus.sum())
    if found.failure or not cell or not nucleus:
        return {}
    if flat:  # what looks like a nucleus there is none
        return {"cell_area": cell}
    return {"cell_area": cell, "nucleus_area": nucleus, "nc_ratio": nucleus / cell}


def _learn(
    network: AttributeNetwork,
    widths: list[int],
    known: CellsAsRead,
    train: Tensor,
    seed: int,
    epochs: int,
    tell: Progress,
) -> None:
    """AdamW with one rise and fall of the learning rate; turns, flips and noise on the latents."""
    batch = min(BATCH, len(train))
    steps = max(1, len(train) // batch)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=epochs * steps)
    chance = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # dropout takes no generator
        for epoch in range(epochs):
            order = train[torch.randperm(len(train), generator=chance)]
            for step in range(steps):
                rows = order[step * batch : (step + 1) * batch]
                turn = int(torch.randint(8, (), generator=chance))
                x = torch.rot90(known.latents[rows], turn % 4, (2, 3))
                x = x.flip(3) if turn > 3 else x
                x = x + NOISE * torch.randn(x.shape, generator=chance)
                outputs = network(x, known.types[rows], DROPOUT)
                loss = _loss(outputs, widths, known.targets[rows], known.sizes[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            tell("learning", epoch + 1, epochs)


def _loss(outputs: Tensor, widths: list[int], targets: Tensor, sizes: Tensor) -> Tensor:
    """Cross entropy of each attribute and Huber's loss of each size, over what is known; the mean of all."""
    parts = list(outputs.split([*widths, outputs.shape[1] - sum(widths)], dim=1))
    losses = [
        F.cross_entropy(part, targets[:, i], ignore_index=-1)
        for i, part in enumerate(parts[:-1])
        if (targets[:, i] >= 0).any()
    ]
    there = sizes.isfinite()
    if there.any():
        losses.append(F.smooth_l1_loss(parts[-1][there], sizes[there]))
    return torch.stack(losses).mean() if losses else outputs.sum() * 0


def _calibrate(network: AttributeNetwork, widths: list[int], known: CellsAsRead, rows: Tensor) -> None:
    """Temperature of each attribute (Guo et al. 2017) on cells kept back, folded into the last layer's weights."""
    outputs, ends = outputs_for(network, known, rows), list(accumulate(widths, initial=0))
    for i, (start, end) in enumerate(pairwise(ends)):
        said = known.targets[rows, i] >= 0
        if int(said.sum()) < MINIMUM_VALUE:
            continue
        logits, truth = outputs[said, start:end], known.targets[rows[said], i]
        best = min(np.geomspace(0.5, 4.0, 43), key=lambda t: float(F.cross_entropy(logits / t, truth)))
        network.scores.weight[start:end] /= best
        network.scores.bias[start:end] /= best
