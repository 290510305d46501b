"""What a reader is asked about a cell besides “real or synthetic?”, and what an answer may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from syntheticcellgan.errors import InputError
from syntheticcellgan.review.tables import REAL, SYNTHETIC

VERDICTS = (REAL, SYNTHETIC)
CONFIDENCE = {1: "guess", 2: "unsure", 3: "fairly sure", 4: "sure"}
QUALITY = (1, 2, 3, 4, 5)
UNKNOWN_TYPE = "not_recognisable"
MAX_REMARK = 2000

FEATURES = {
    "nuclear_shape": "Nuclear shape",
    "chromatin": "Chromatin",
    "nc_ratio": "N:C ratio",
    "cytoplasm": "Cytoplasm",
    "granules": "Granules",
}
"""The morphological checklist; each is judged for the type that the reader believes to see."""

JUDGEMENTS = {
    "typical": "typical",
    "unusual": "unusual, possible",
    "implausible": "not believable",
    "not_assessable": "cannot say",
}


@dataclass(frozen=True)
class Answer:
    """The state of one item's answer; None or empty where not given yet. seconds: the cell was in view so long."""

    verdict: str | None = None
    confidence: int | None = None
    cell_type: str | None = None
    checklist: Mapping[str, str] = field(default_factory=dict)
    quality: int | None = None
    remark: str = ""
    seconds: float | None = None

    def is_complete(self, ask_type: bool) -> bool:
        """Whether everything that the statistics need is given; checklist, quality and remark are free."""
        return None not in (self.verdict, self.confidence) and (self.cell_type is not None or not ask_type)


def check_answer(answer: Answer, cell_types: Sequence[str]) -> Answer:
    """InputError naming the field whose value is none of the offered ones."""
    limits = [
        ("verdict", answer.verdict is None or answer.verdict in VERDICTS),
        ("confidence", answer.confidence is None or answer.confidence in CONFIDENCE),
        ("cell type", answer.cell_type is None or answer.cell_type in (*cell_types, UNKNOWN_TYPE)),
        ("quality", answer.quality is None or answer.quality in QUALITY),
        ("checklist", all(k in FEATURES and v in JUDGEMENTS for k, v in answer.checklist.items())),
        ("time", answer.seconds is None or 0 <= answer.seconds <= 1e6),
    ]
    for name, holds in limits:
        if not holds:
            raise InputError(f"The answer's {name} is none of the offered values.")
    if len(answer.remark) > MAX_REMARK:
        raise InputError(f"The remark has {len(answer.remark)} characters; the most is {MAX_REMARK}.")
    if "\0" in answer.remark:
        raise InputError("The remark holds a character that is no text.")
    return answer
