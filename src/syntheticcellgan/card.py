"""The card of a bundle, from its JSON to a page that a person reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def render_card(card: Mapping[str, Any]) -> str:
    """Markdown: what it learnt from, how, how good it is, and what it must not be used for."""
    data, training = card.get("data", {}), card.get("training", {})
    lines = [
        f"# {card.get('name', 'Bundle')}",
        "",
        f"Made {card.get('made', '?')} with {card.get('software', '?')}.",
        "",
    ]
    lines += ["## Intended use", "", str(card.get("intended_use", "not stated")), ""]
    lines += ["## Data", "", f"- Source: {data.get('source', 'not stated')}"]
    lines += [f"- Licence of the training images: {data.get('licence', 'not stated')}"]
    lines += [f"- {entry}" for entry in data.get("attribution", [])]
    lines += _look(data.get("look", {}))
    counts = data.get("counts", {})
    if counts:
        lines += [f"- Split by {data.get('split_by')}, seed {data.get('split_seed')}; images per type and part:", ""]
        lines += ["| cell type | " + " | ".join(counts) + " |", "|---|" + "---:|" * len(counts)]
        types = sorted({t for part in counts.values() for t in part})
        lines += [f"| {t} | " + " | ".join(str(part.get(t, 0)) for part in counts.values()) + " |" for t in types]
    lines += ["", "## Training", "", f"- Machine: {training.get('machine', '?')}, {training.get('precision', '?')}"]
    lines += _stages(training)
    lines += [line for entry in training.get("adaptations", []) for line in _adaptation(entry)]
    lines += [f"- Networks in its losses: {', '.join(training.get('extractors_in_losses', [])) or 'none'}"]
    lines += [
        f"- Networks that chose the checkpoint: {', '.join(training.get('extractors_in_selection', [])) or 'none'}"
    ]
    lines += ["", "## How good it is", ""]
    lines += metrics_table(card.get("metrics", {}))
    lines += _attributes(card.get("attributes", {}))
    lines += ["", "## Limits", ""] + [f"- {limit}" for limit in card.get("limits", [])]
    return "\n".join(lines) + "\n"


def _look(look: Mapping[str, Any]) -> list[str]:
    """How the laboratory of the training images stains and photographs."""
    if not look:
        return []
    white = ", ".join(f"{value:.0f}" for value in look["white_srgb"])
    parts = [f"{name.replace('_', ' ')} {' '.join(f'{v:.0f}' for v in lab)}" for name, lab in look["lab"].items()]
    return [
        f"- Look of {look['images']} training images: background sRGB {white}; L*a*b* against it: {', '.join(parts)}; cells fill "
        f"{look['diameter']:.0%} of the side. How far other images lie from it: `scg stain check`"
    ]


def _attributes(known: Mapping[str, Any]) -> list[str]:
    """What can be asked for with `scg generate --with`: how well it is recognised, and how often each type shows it."""
    if not known:
        return []
    lines = ["", "## Attributes that can be asked for", ""]
    lines += [
        f"Learnt from {known['source']} ({known['licence']}), of training images alone, as its "
        f"low-resolution stage shows them; measured on {known.get('measured_on', 'others')}. In brackets what naming the commonest "
        "value of each type would reach.",
        "",
    ]
    predictors = known.get("predictors", [])
    if predictors:
        lines += ["| attribute | named rightly | mean over values | n |", "|---|---:|---:|---:|"]
        lines += [
            f"| {one['name']} | {one['accuracy']:.3f} [{one['usual']:.3f}] | {one['balanced']:.3f} | {one['n_test']} |"
            for one in predictors
        ]
        lines += [""]
    if known.get("sizes"):
        lines += ["| size | unit | correlation within types | n |", "|---|---|---:|---:|"]
        lines += [
            f"| {one['name']} | {one['unit']} | {one['correlation']:.3f} | {one['n_test']} |" for one in known["sizes"]
        ]
        lines += [""]
    shares = known.get("shares", {})
    types = sorted({t for rows in shares.values() for row in rows.values() for t in row})
    if types:
        lines += ["Share of the real training cells of each type:", ""]
        lines += ["| attribute | " + " | ".join(types) + " |", "|---|" + "---:|" * len(types)]
        lines += [
            f"| {name}={value} | " + " | ".join(f"{row[t]:.1%}" if t in row else "–" for t in types) + " |"
            for name, rows in shares.items()
            for value, row in rows.items()
        ]
    return lines


def _stages(training: Mapping[str, Any]) -> list[str]:
    """What was learnt how long; then the same of the bundle that it began with, and of that one's."""
    lines = [
        f"- {stage}: best after {state['images_seen_at_best']:,} images and {state['minutes_at_best']:g} minutes, "
        f"distance to the validation images {state['held_out_score']:.4g}"
        for stage, state in training.get("stages", {}).items()
    ]
    start = training.get("start")
    if start:
        lines += [
            f"- Began with the weights of {start['name']} ({start['id']}; {start.get('machine', '?')}), which had seen:"
        ]
        lines += [f"  {line}" for line in _stages(start)]
    return lines


def _adaptation(entry: Mapping[str, Any]) -> list[str]:
    """A further type, learnt from few images by `scg adapt`."""
    images, patients, base = entry["images"], entry["patients"], entry["base"]
    known = f" of {patients['train']} patients" if patients["train"] else ""
    return [
        f"- {entry['cell_type']} was added to {base['name']} ({base['id']}; SHA-256 of its SHA256SUMS: {base['sha256']}) from "
        f"{images['train']} images{known}, {images['validation']} more held out (by {entry['held_out_by']}); it began as "
        f"{entry['began_as']}, the nearest of the known types; {entry['machine']}:",
        *(f"  {line}" for line in _stages(entry)),
        f"  - Copies: {entry['copies']['sentence']}",
        f"  - Known types: {entry['known_types_unchanged']} cells compared with those of {base['name']}, all the same bit for bit",
    ]


def metrics_table(metrics: Mapping[str, Any]) -> list[str]:
    """Lines of Markdown: the statement and a table of the figures, or a sentence that there are none."""
    if not metrics:
        return ["Not measured yet: do not rely on it before an evaluation on held-out images."]
    lines = [str(metrics["statement"]), ""] if "statement" in metrics else []
    lines += ["| figure | value | 95 % interval | n |", "|---|---:|---|---|"]
    for row in metrics.get("figures", []):
        interval = f"{row['low']:.3g} – {row['high']:.3g}" if "low" in row else "–"
        lines += [f"| {row['name']} | {row['value']:.3g} | {interval} | {row['n']} |"]
    return lines
