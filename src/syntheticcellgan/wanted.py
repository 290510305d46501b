"""What is asked of a cell: `{"cytoplasm_vacuole": "yes", "nucleus_area": "large"}`, checked against what a bundle knows.

A size is asked for as small, medium or large (the lower, middle and upper third of the type's real cells), as a
percentile of those (`90%`: 85 % to 95 %), or as a number in its own unit (within 5 %).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from syntheticcellgan.bundle_attributes import NEVER, Attribute, Attributes, Size
from syntheticcellgan.cell_types import nearest, slug
from syntheticcellgan.errors import InputError

THIRDS = {"small": (0.0, 1 / 3), "medium": (1 / 3, 2 / 3), "large": (2 / 3, 1.0)}
AROUND_PERCENTILE, AROUND_NUMBER = 0.05, 0.05


@dataclass(frozen=True)
class Wishes:
    """What one cell type is asked for: values of attributes by name, the probability that each must have, and ranges
    (low, high) of sizes.
    """

    values: Mapping[str, str]
    marks: Mapping[str, float]
    ranges: Mapping[str, tuple[float, float]]


def parse(texts: Iterable[str], option: str = "--with") -> dict[str, str]:
    """`NAME=VALUE` texts as a mapping.

    Raises:
        InputError: a text of another form, or one name with two values.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise InputError(f"{option} {text}: write NAME=VALUE, for example {option} nucleus_area=large.")
        if found.setdefault(name.strip(), value.strip()) != value.strip():
            raise InputError(
                f"{option} asks for {name.strip()}={found[name.strip()]} and ={value.strip()}; choose one."
            )
    return found


def spelled(known: Attributes | None, wanted: Mapping[str, str], bundle: str) -> dict[str, str]:
    """`wanted` with the bundle's own names and values, sorted by name; case, spaces and dashes do not matter.

    Raises:
        InputError: the bundle knows no attributes, not this one, or not this value; the nearest is proposed.
    """
    result: dict[str, str] = {}
    for given, value in wanted.items():
        known, name = name_of(known, str(given), bundle)
        attribute, size = known.attribute(name), known.size(name)
        if name in result:
            raise InputError(f"{name} is asked for twice; choose one value.")
        if attribute is not None:
            result[name] = _value(attribute, str(value))
        elif size is not None:
            result[name] = _size(size, str(value))
    return dict(sorted(result.items()))


def name_of(known: Attributes | None, given: str, bundle: str) -> tuple[Attributes, str]:
    """What the bundle knows, and its own name of an attribute or size.

    Raises:
        InputError: it knows no attributes, or not this one; the nearest is proposed.
    """
    if known is None:
        raise InputError(
            f"{bundle} knows no attributes. Teach it with: scg attributes fit BUNDLE DATA (labels.csv with a column for "
            "each, or --table)."
        )
    name = {slug(name): name for name in known.names()}.get(slug(given))
    if name is None:
        near = nearest(given, known.names())
        hint = f"; did you mean “{near}”?" if near else "."
        raise InputError(f"{bundle} knows no attribute “{given}”{hint} It knows {', '.join(known.names())}.")
    return known, name


def _value(attribute: Attribute, given: str) -> str:
    for value in attribute.values:
        if given == value or (slug(given) and slug(given) == slug(value)):
            return value
    near = nearest(given, attribute.values)
    hint = f"; did you mean “{near}”?" if near else "."
    raise InputError(f"{attribute.name} can be {', '.join(attribute.values)}, not “{given}”{hint}")


def _size(size: Size, given: str) -> str:
    text = given.strip().casefold()
    if text in THIRDS:
        return text
    number = text.removesuffix("%")
    try:
        value = float(number)
    except ValueError:
        value = np.nan
    if not np.isfinite(value) or value <= 0 or (text.endswith("%") and value >= 100):
        near = nearest(text, THIRDS)
        hint = f"; did you mean “{near}”?" if near else "."
        raise InputError(
            f"{size.name} can be small, medium, large, a percentile such as 90%, or a number ({size.unit}), not "
            f"“{given}”{hint}"
        )
    return f"{value:g}%" if text.endswith("%") else f"{value:g}"


def wishes_for(known: Attributes, cell_type: str, wanted: Mapping[str, str]) -> Wishes:
    """What `wanted`, as `spelled` gives it, means for one cell type.

    Raises:
        InputError: nothing is known of the type, its real cells do not show a value or not all together, or a size lies
            beyond them; says what they show.
    """
    values = {name: value for name, value in wanted.items() if known.attribute(name)}
    for name, value in values.items():
        counts = known.counts(cell_type, name)
        if not counts:
            others = sorted(other for other in known.combinations if known.counts(other, name))
            raise InputError(
                f"No cell of the type {_title(cell_type)} was labelled with {name}, so it cannot be chosen there; it can be for "
                f"{', '.join(others)}."
            )
        if counts[value] < NEVER:
            shares = ", ".join(f"{other} {count / counts.total():.0%}" for other, count in counts.most_common())
            raise InputError(
                f"Of {counts.total():,} real cells of the type {_title(cell_type)}, {counts[value] or 'none'} showed "
                f"{name}={value}, too few to learn it from; they showed {shares}. {_elsewhere(known, name, value)}"
            )
    if len(values) > 1:
        both, of = known.together(cell_type, values)
        if not both:
            asked = " and ".join(f"{name}={value}" for name, value in values.items())
            raise InputError(
                f"Of {of:,} real cells of the type {_title(cell_type)}, none showed {asked} together; drop one of them."
            )
    marks: dict[str, float] = {}
    for name, value in values.items():
        attribute = known.attribute(name)
        assert attribute is not None
        mark = known.marks[cell_type][name][attribute.values.index(value)]
        assert mark is not None
        marks[name] = mark
    ranges = {name: _range(known, cell_type, name, text) for name, text in wanted.items() if known.size(name)}
    return Wishes(values, marks, ranges)


def _range(known: Attributes, cell_type: str, name: str, text: str) -> tuple[float, float]:
    size = known.size(name)
    assert size is not None
    quantiles = size.quantiles.get(cell_type)
    if quantiles is None:
        raise InputError(
            f"Too few real cells of the type {_title(cell_type)} could be measured to choose their {name}; it can be chosen "
            f"for {', '.join(size.quantiles)}."
        )
    if text in THIRDS:
        low, high = THIRDS[text]
    elif text.endswith("%"):
        middle = float(text[:-1]) / 100
        low, high = max(0.0, middle - AROUND_PERCENTILE), min(1.0, middle + AROUND_PERCENTILE)
    else:
        value = float(text)
        if not quantiles[0] <= value <= quantiles[-1]:
            raise InputError(
                f"{name}={text}: real cells of the type {_title(cell_type)} have {quantiles[0]:g} to {quantiles[-1]:g} "
                f"({size.unit}), most of them {quantiles[1]:g} to {quantiles[-2]:g}."
            )
        return (1 - AROUND_NUMBER) * value, (1 + AROUND_NUMBER) * value
    ends = np.interp([low, high], np.linspace(0, 1, len(quantiles)), quantiles)
    # The outer thirds and percentiles have no other end: a cell that is larger still is a large one.
    return (0.0 if low == 0 else float(ends[0])), (np.inf if high == 1 else float(ends[1]))


def _elsewhere(known: Attributes, name: str, value: str) -> str:
    shares = []
    for other in sorted(known.combinations):
        counts = known.counts(other, name)
        if counts[value] >= NEVER:
            shares.append(f"{other} ({counts[value] / counts.total():.0%})")
    return (
        f"{name}={value} is known of {', '.join(shares)}." if shares else f"No type shows {name}={value} often enough."
    )


def _title(cell_type: str) -> str:
    return cell_type.replace("_", " ")
