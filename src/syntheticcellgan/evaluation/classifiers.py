"""The two kinds of classifier that utility is measured with: a small network from scratch, and a linear probe.

    Labelled(images, features, labels)                 # a labelled set, as arrays
    ConvNet(steps, augment).fit(parts, types, seed)    # -> predict(Labelled) -> indices into types
    LinearProbe().fit(parts, types, seed)
    ConvNet().fit_chances(parts, types, seed)          # -> chances(Labelled) -> of each type, for precision and recall

`parts` are the sets to train on, such as real and synthetic cells. Every part gets the same weight, and within a part
every type, so that ten thousand synthetic cells do not drown a hundred real ones. Small batches of normalised groups
instead of BatchNorm, because BatchNorm breaks down between laboratories (Tsutsui et al. 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F

from syntheticcellgan.cores import one_thread
from syntheticcellgan.errors import InputError

SIDE = 64  # pixels per side of the images


@dataclass(frozen=True)
class Labelled:
    """A labelled set. images: (N, 64, 64, 3) uint8. features: (N, d) finite floats. labels: N cell types."""

    images: np.ndarray
    features: np.ndarray
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.labels)
        if self.images.shape != (n, SIDE, SIDE, 3) or self.images.dtype != np.uint8:
            raise InputError(
                f"{n} labels need images ({n}, {SIDE}, {SIDE}, 3) uint8, not {self.images.shape} {self.images.dtype}"
            )
        if self.features.ndim != 2 or len(self.features) != n:
            raise InputError(f"{n} labels need features ({n}, d), not {self.features.shape}")
        if not np.isfinite(self.features).all():
            raise InputError("features hold NaN or infinite values: find the image they come from")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.labels)))

    def select(self, indices: np.ndarray) -> Labelled:
        """The cells at `indices`, in that order."""
        return Labelled(self.images[indices], self.features[indices], tuple(self.labels[i] for i in indices))

    def of_types(self, types: Sequence[str]) -> Labelled:
        """The cells of the given types."""
        return self.select(np.array([i for i, label in enumerate(self.labels) if label in types], dtype=int))

    def codes(self, types: Sequence[str]) -> np.ndarray:
        """(N,) int64, the index of each label in `types`; InputError for a label that is not there."""
        index = {name: i for i, name in enumerate(types)}
        missing = sorted(set(self.labels) - set(index))
        if missing:
            raise InputError(f"type {missing[0]} is not among the types of the classifier")
        return np.array([index[label] for label in self.labels], dtype=np.int64)


Predictor = Callable[[Labelled], np.ndarray]
"""Labelled set -> (N,) int64, indices into the types it was fitted with. Looks at no labels."""


Chances = Callable[[Labelled], np.ndarray]
"""Labelled set -> (N, K) floats, the probability of each of the K types. Looks at no labels."""


class Classifier(Protocol):
    """A kind of classifier; `augments` says whether it can use classic augmentation."""

    @property
    def name(self) -> str: ...

    @property
    def augments(self) -> bool: ...

    def fit(
        self, parts: Sequence[Labelled], types: Sequence[str], seed: int, *, augment: bool, effort: float = 1.0
    ) -> Predictor: ...

    def fit_chances(
        self, parts: Sequence[Labelled], types: Sequence[str], seed: int, *, augment: bool, effort: float = 1.0
    ) -> Chances: ...


@dataclass(frozen=True)
class LinearProbe:
    """Multinomial logistic regression on standardised features. Ignores `augment`, `effort` and `seed`."""

    strength: float = 0.05  # scikit-learn's C, the inverse of the penalty
    name: str = "linear probe"
    augments: bool = False

    def fit(
        self, parts: Sequence[Labelled], types: Sequence[str], seed: int, *, augment: bool, effort: float = 1.0
    ) -> Predictor:
        model = self._fitted(parts, types)

        def predict(data: Labelled) -> np.ndarray:
            if len(data) == 0:
                return np.empty(0, dtype=np.int64)
            return np.asarray(model.predict(data.features.astype(np.float64)), dtype=np.int64)

        return predict

    def fit_chances(
        self, parts: Sequence[Labelled], types: Sequence[str], seed: int, *, augment: bool, effort: float = 1.0
    ) -> Chances:
        model = self._fitted(parts, types)

        def chances(data: Labelled) -> np.ndarray:
            found = np.zeros((len(data), len(types)))
            found[:, model.classes_] = model.predict_proba(data.features.astype(np.float64))
            return found

        return chances

    def _fitted(self, parts: Sequence[Labelled], types: Sequence[str]) -> Pipeline:
        features = np.concatenate([part.features for part in parts]).astype(np.float64)
        codes = np.concatenate([part.codes(types) for part in parts])
        weights = _weights(parts, types)
        model = make_pipeline(StandardScaler(), LogisticRegression(C=self.strength, max_iter=300))
        return model.fit(features, codes, logisticregression__sample_weight=weights * len(weights))


@dataclass(frozen=True)
class ConvNet:
    """Four strided convolutions with group normalisation, about 0.1 M parameters, float32, on one CPU thread.

    steps × batch images are seen whatever the size of the set, so that every arm of an experiment costs the same;
    `effort` in `fit` scales the steps. Classic augmentation: flips, quarter turns, shifts of up to 4 pixels, ±10 %
    brightness, ±5 % per colour channel. recolour: what else to do to a batch (B, 64, 64, 3) uint8 before that.
    """

    steps: int = 1200
    batch: int = 16  # of few images, many small steps teach more than few large ones
    rate: float = 2e-3
    name: str = "small network"
    augments: bool = True
    recolour: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None

    def fit(
        self, parts: Sequence[Labelled], types: Sequence[str], seed: int, *, augment: bool, effort: float = 1.0
    ) -> Predictor:
        values = self._fitted(parts, types, seed, augment, effort)
        return lambda data: values(data).argmax(1).numpy() if len(data) else np.empty(0, dtype=np.int64)

    def fit_chances(
        self, parts: Sequence[Labelled], types: Sequence[str], seed: int, *, augment: bool, effort: float = 1.0
    ) -> Chances:
        values = self._fitted(parts, types, seed, augment, effort)
        return lambda data: values(data).softmax(1).numpy() if len(data) else np.empty((0, len(types)))

    @one_thread()
    def _fitted(
        self, parts: Sequence[Labelled], types: Sequence[str], seed: int, augment: bool, effort: float
    ) -> Callable[[Labelled], Tensor]:
        rng = np.random.default_rng(seed)
        images = np.concatenate([part.images for part in parts])
        codes = torch.from_numpy(np.concatenate([part.codes(types) for part in parts]))
        chances = _weights(parts, types)
        steps = max(1, round(self.steps * effort))
        drawn = rng.choice(len(images), size=(steps, self.batch), p=chances)
        network = _network(len(types), seed)
        optimizer = torch.optim.AdamW(network.parameters(), lr=self.rate, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=self.rate, total_steps=steps, pct_start=0.2)
        for chosen in drawn:
            pixels = images[chosen] if self.recolour is None else self.recolour(images[chosen], rng)
            batch = _augment(pixels, rng) if augment else _to_tensor(pixels)
            loss = F.cross_entropy(network(batch), codes[torch.from_numpy(chosen)], label_smoothing=0.05)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        network.eval()

        @one_thread()
        @torch.no_grad()
        def values(data: Labelled) -> Tensor:
            return torch.cat([network(_to_tensor(data.images[i : i + 256])) for i in range(0, len(data), 256)])

        return values


def _weights(parts: Sequence[Labelled], types: Sequence[str]) -> np.ndarray:
    """Chance of each cell, (sum of N,): every part the same, every type present within a part the same."""
    weights = []
    for part in parts:
        codes = part.codes(types)
        own = 1.0 / np.bincount(codes, minlength=len(types))[codes]
        weights.append(own / own.sum())
    joined = np.concatenate(weights)
    return joined / joined.sum()


def _network(classes: int, seed: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):  # torch's global random state belongs to the caller
        torch.manual_seed(seed)
        for before, after, kernel in ((3, 16, 5), (16, 32, 3), (32, 64, 3), (64, 128, 3)):
            convolution = nn.Conv2d(before, after, kernel, stride=2, padding=kernel // 2)
            nn.init.kaiming_normal_(convolution.weight)
            layers += [convolution, nn.GroupNorm(8, after), nn.ReLU()]
        return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(128, classes))


def _to_tensor(images: np.ndarray) -> Tensor:
    """(B, 64, 64, 3) uint8 -> (B, 3, 64, 64) float32 in about -2 to 2."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float().div_(63.75).sub_(2.0)


def _augment(images: np.ndarray, rng: np.random.Generator, shift: int = 4) -> Tensor:
    """A classically augmented batch, the same form as `_to_tensor` gives."""
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode="reflect")
    batch = np.empty_like(images)
    for i, (down, right, turns, flip) in enumerate(
        rng.integers(0, [2 * shift + 1, 2 * shift + 1, 4, 2], (len(images), 4))
    ):
        turned = np.rot90(padded[i, down : down + SIDE, right : right + SIDE], turns)
        batch[i] = turned[:, ::-1] if flip else turned
    gain = rng.uniform(0.90, 1.10, (len(images), 1)) * rng.uniform(0.95, 1.05, (len(images), 3))
    factors = torch.from_numpy(gain.astype(np.float32))[:, :, None, None]
    return (_to_tensor(batch) + 2.0).mul_(factors).clamp_(max=4.0).sub_(2.0)
