"""The results of a reading session, per round: everybody together, each reader, each type, agreement, checklist, images.

    results = read_results(database, session_id)
    results.as_dict()

A cell shown twice counts once, at its first showing; the second serves the agreement with oneself alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from syntheticcellgan.review.checklist import FEATURES, JUDGEMENTS, VERDICTS
from syntheticcellgan.review.database import Database
from syntheticcellgan.review.judgements import Judgement, read_judgements
from syntheticcellgan.review.overview import show_session
from syntheticcellgan.review.sessions import SessionLine
from syntheticcellgan.review.statistics import (
    Equivalence,
    Estimate,
    cohen,
    discrimination,
    equivalence,
    equivalence_of_readers,
    fleiss,
    share,
    share_difference,
)
from syntheticcellgan.review.tables import REAL, SYNTHETIC

UNMASKED = 12
"""So many images are listed as most often unmasked."""


@dataclass(frozen=True)
class Discrimination:
    """Real or synthetic? Synthetic is the positive answer: sensitivity is the share of synthetic cells found out.

    seconds: median time per cell and its quartiles; None if no time was measured.
    """

    name: str
    accuracy: Estimate
    sensitivity: Estimate
    specificity: Estimate
    d_prime: Estimate
    equivalence: Equivalence
    seconds: tuple[float, float, float] | None


@dataclass(frozen=True)
class TypeAccuracy:
    """Cells whose type the reader named rightly, real and synthetic; difference: synthetic minus real."""

    name: str
    real: Estimate
    synthetic: Estimate
    difference: Estimate


@dataclass(frozen=True)
class FeatureLine:
    """How often a feature was called each of `checklist.JUDGEMENTS`, among the answers given."""

    feature: str
    truth: str
    shares: dict[str, Estimate]


@dataclass(frozen=True)
class ImageLine:
    """A synthetic image and how many of its readers found it out; or a real one taken for synthetic."""

    image: str
    source: str
    cell_type: str
    said_synthetic: int
    readers: int


@dataclass(frozen=True)
class RoundResults:
    """All of one round. readers_in_general: equivalence with each reader as one observation."""

    round: int
    overall: Discrimination
    readers_in_general: Equivalence
    by_reader: list[Discrimination]
    by_type: list[Discrimination]
    types: list[TypeAccuracy]
    kappa_pairs: list[tuple[str, str, Estimate]]
    kappa_all: Estimate
    kappa_types: Estimate
    self_agreement: list[tuple[str, Estimate, Estimate]]
    checklist: list[FeatureLine]
    quality: dict[str, tuple[float, int] | None]
    unmasked: list[ImageLine]
    mistaken: list[ImageLine]


@dataclass(frozen=True)
class Results:
    """A session's results; judgements: all final answers."""

    session: SessionLine
    rounds: list[RoundResults]
    judgements: list[Judgement]

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: NaN becomes None."""
        session = asdict(self.session)
        for key in ("created_at", "closed_at"):
            session[key] = session[key].isoformat() if session[key] else None
        figures: dict[str, Any] = _plain({"session": session, "rounds": [asdict(r) for r in self.rounds]})
        return figures


def read_results(database: Database, session_id: str) -> Results:
    """The results so far; InputError if there is no such session."""
    session = show_session(database, session_id)
    judgements = read_judgements(database, session_id)
    return Results(
        session, [round_results(judgements, n, session.settings.margin) for n in session.settings.rounds], judgements
    )


def round_results(judgements: Iterable[Judgement], number: int, margin: float) -> RoundResults:
    """The results of one round."""
    of_round = [j for j in judgements if j.round == number]
    given = [j for j in of_round if not j.repeat]
    by_reader, by_type = _groups(given, lambda j: j.reader), _groups(given, lambda j: j.cell_type)
    readers = [_discrimination(name, group, margin) for name, group in by_reader.items()]
    return RoundResults(
        round=number,
        overall=_discrimination("all", given, margin),
        readers_in_general=equivalence_of_readers([r.accuracy.value for r in readers], margin),
        by_reader=readers,
        by_type=[_discrimination(name, group, margin) for name, group in sorted(by_type.items())],
        types=[_type_accuracy("all", given), *(_type_accuracy(n, g) for n, g in sorted(by_type.items()))],
        kappa_pairs=_pairs(by_reader),
        kappa_all=_fleiss(given, lambda j: j.verdict),
        kappa_types=_fleiss([j for j in given if j.answered_type], lambda j: str(j.answered_type)),
        self_agreement=_self_agreement(of_round),
        checklist=[line for feature in FEATURES for line in _feature(feature, given)],
        quality={truth: _mean_quality(given, truth) for truth in VERDICTS},
        unmasked=_images(given, SYNTHETIC),
        mistaken=_images(given, REAL),
    )


def _groups(judgements: Iterable[Judgement], key: Callable[[Judgement], str]) -> dict[str, list[Judgement]]:
    groups: dict[str, list[Judgement]] = defaultdict(list)
    for j in judgements:
        groups[key(j)].append(j)
    return dict(groups)


def _discrimination(name: str, judgements: Sequence[Judgement], margin: float) -> Discrimination:
    synthetic = [j for j in judgements if j.truth == SYNTHETIC]
    real = [j for j in judgements if j.truth == REAL]
    hits, false_alarms = (sum(j.says_synthetic for j in group) for group in (synthetic, real))
    correct = hits + len(real) - false_alarms
    times = [j.seconds for j in judgements if j.seconds is not None]
    quartiles = [float(v) for v in np.percentile(times, [50, 25, 75])] if times else None
    return Discrimination(
        name,
        share(correct, len(judgements)),
        share(hits, len(synthetic)),
        share(len(real) - false_alarms, len(real)),
        discrimination(hits, len(synthetic), false_alarms, len(real)),
        equivalence(correct, len(judgements), margin),
        (quartiles[0], quartiles[1], quartiles[2]) if quartiles else None,
    )


def _type_accuracy(name: str, judgements: Sequence[Judgement]) -> TypeAccuracy:
    counts = {}
    for truth in VERDICTS:
        typed = [j for j in judgements if j.truth == truth and j.answered_type is not None]
        counts[truth] = sum(j.type_correct for j in typed), len(typed)
    difference = share_difference(*counts[SYNTHETIC], *counts[REAL])
    return TypeAccuracy(name, share(*counts[REAL]), share(*counts[SYNTHETIC]), difference)


def _pairs(by_reader: dict[str, list[Judgement]]) -> list[tuple[str, str, Estimate]]:
    lines = []
    for (one, first), (other, second) in combinations(by_reader.items(), 2):
        lines.append(
            (one, other, cohen(_table({j.image: j.verdict for j in first}, {j.image: j.verdict for j in second})))
        )
    return lines


def _table(first: dict[str, str], second: dict[str, str]) -> np.ndarray:
    """(2, 2) counts of the verdicts on the images that both judged."""
    table = np.zeros((2, 2), int)
    for image in first.keys() & second.keys():
        table[VERDICTS.index(first[image]), VERDICTS.index(second[image])] += 1
    return table


def _fleiss(judgements: Sequence[Judgement], category: Callable[[Judgement], str]) -> Estimate:
    """Over the images that every reader judged."""
    readers = {j.reader for j in judgements}
    categories = sorted({category(j) for j in judgements})
    by_image = _groups(judgements, lambda j: j.image)
    full = [group for group in by_image.values() if len(group) == len(readers)]
    ratings = [[sum(category(j) == c for j in group) for c in categories] for group in full]
    return fleiss(np.array(ratings, int).reshape(-1, max(len(categories), 1)))


def _self_agreement(judgements: Sequence[Judgement]) -> list[tuple[str, Estimate, Estimate]]:
    """(reader, share of repeated cells judged alike, Cohen's kappa of the two showings)."""
    lines = []
    for name, group in _groups(judgements, lambda j: j.reader).items():
        second = {j.image: j.verdict for j in group if j.repeat}
        first = {j.image: j.verdict for j in group if not j.repeat and j.image in second}
        if first:
            table = _table(first, second)
            lines.append((name, share(int(np.trace(table)), int(table.sum())), cohen(table)))
    return lines


def _feature(feature: str, judgements: Sequence[Judgement]) -> list[FeatureLine]:
    lines = []
    for truth in VERDICTS:
        said = [j.checklist[feature] for j in judgements if j.truth == truth and feature in j.checklist]
        if said:
            lines.append(FeatureLine(feature, truth, {name: share(said.count(name), len(said)) for name in JUDGEMENTS}))
    return lines


def _mean_quality(judgements: Sequence[Judgement], truth: str) -> tuple[float, int] | None:
    """(mean of the marks 1 to 5, how many)."""
    marks = [j.quality for j in judgements if j.truth == truth and j.quality is not None]
    return (float(np.mean(marks)), len(marks)) if marks else None


def _images(judgements: Sequence[Judgement], truth: str) -> list[ImageLine]:
    """The images of one kind that most readers, then the larger number of them, called synthetic; none that nobody did."""
    lines = []
    for image, group in _groups((j for j in judgements if j.truth == truth), lambda j: j.image).items():
        said = sum(j.says_synthetic for j in group)
        if said:
            lines.append(ImageLine(image, group[0].source, group[0].cell_type, said, len(group)))
    lines.sort(key=lambda line: (-line.said_synthetic / line.readers, -line.readers, line.image))
    return lines[:UNMASKED]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
