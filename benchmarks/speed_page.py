"""Write the tables of docs/explanation/speed.md and the plot docs/images/growth.png from docs/results/rivals.json,
engines.json and quality_per_hour.json.

python benchmarks/speed_page.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from figures import between

ROOT = Path(__file__).resolve().parents[1]
OURS = "SyntheticCellGAN"
KINDS = {
    OURS: "Wasserstein-style GAN and translator",
    "pix2pix": "U-Net-256 and 70×70 PatchGAN; needs an image to begin with",
    "lightweight-gan": "FastGAN-like, its package's default widths",
    "StyleGAN2": "skip generator, 512 … 64 channels",
    "latent diffusion": "LDM-4 denoiser, 50 DDIM steps, decoder not counted",
}


def shown(value: float) -> str:
    """Two significant digits, three from 100 on."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def spread(figure: dict[str, float]) -> str:
    """median [low, high]."""
    return f"{shown(figure['median'])} [{shown(figure['low'])}, {shown(figure['high'])}]"


def making(found: dict[str, Any]) -> str:
    """What making an image costs."""
    lines = [
        "| system | precision | images a second | GFLOP an image | share of the limit | first image after | memory | parameters |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for key, one in found["systems"].items():
        name, precision = key.split(", ")
        first = one.get("seconds_to_the_first_image")
        lines.append(
            f"| {name} | {precision} | {spread(one['images_per_second'])} | {shown(one['gigaflop_per_image']['median'])} | "
            f"{one['share_of_the_limit']['median']:.0%} | {shown(first['median']) + ' s' if first else '–'} | "
            f"{one['peak_memory_mib_generation']['median'] / 1024:.1f} GiB | {one['parameters'] / 1e6:.1f} M |"
        )
    return "\n".join(lines) + "\n"


def training(found: dict[str, Any]) -> str:
    """What showing an image in training costs."""
    lines = [
        "| training | precision | images a second | GFLOP an image | share of the limit |",
        "|---|---|---:|---:|---:|",
    ]
    for key, one in found["systems"].items():
        for name, part in one.get("training", {}).items():
            speed, work = spread(part["images_per_second"]), shown(part["gigaflop_per_image"]["median"])
            share = part["share_of_the_limit"]["median"]
            lines.append(f"| {name} | {key.split(', ')[1]} | {speed} | {work} | {share:.0%} |")
    return "\n".join(lines) + "\n"


def words(found: dict[str, Any]) -> str:
    """What was measured where, and the chief results."""
    systems = found["systems"]
    ours = systems[f"{OURS}, float32"]
    others = {key: one for key, one in systems.items() if not key.startswith(OURS)}
    best = max(others, key=lambda key: others[key]["images_per_second"]["median"])
    runs = max(len(one) for one in found["runs"].values())
    lines = [
        f"{found['machine']}, PyTorch {found['torch']}; {runs} run{'s' * (runs > 1)} of each system in turns: median [least, "
        f"greatest]. Load before the start: {found['load_average_before']}"
        + (
            " – the machine had other work to do, and the figures are too low."
            if found["load_average_before"] > 0.5
            else "."
        ),
        "",
        f"In float32 {ours['images_per_second']['median'] / others[best]['images_per_second']['median']:.0f} times as many "
        f"images a second as the quickest of the others ({best}), at {ours['share_of_the_limit']['median']:.0%} of the limit.",
    ]
    rough = systems.get(f"{OURS}, bfloat16")
    if rough:
        times = rough["images_per_second"]["median"] / ours["images_per_second"]["median"]
        lines[-1] += f" With `--precision bfloat16` {times:.1f} times that."
    for precision in ("float32", "bfloat16"):
        compiled = systems.get(f"{OURS} with OpenVINO, {precision}")
        if compiled:
            times = compiled["images_per_second"]["median"] / ours["images_per_second"]["median"]
            share = compiled["share_of_the_limit"]["median"]
            lines[-1] += (
                f" With `--engine openvino` in {precision} {times:.1f} times that of PyTorch's float32, {share:.0%} of the limit."
            )
    return "\n".join(lines) + "\n"


def table(ways: list[dict[str, Any]]) -> list[str]:
    """Of ways to run the chain."""
    return [
        "| way | CPU time of an image | of the first | levels of 255 off, on average | at most |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {row['way']} | {row['milliseconds']:.0f} ms | {row['times']:.0%} | {shown(row['levels_off_on_average'])} | "
            f"{row['levels_off_at_most']} |"
            for row in ways
        ),
    ]


def engines() -> str:
    """What was tried to mend the largest gap."""
    found = json.loads((ROOT / "docs" / "results" / "engines.json").read_text())
    lines = [
        f"Of the CPU time of an image {found['share_in_products']:.0%} lie in convolutions and matrix products; the rest "
        "are sums of large tensors, activations, enlargement, noise and rounding to bytes. Tried on "
        f"{found['machine'].split(', ', 1)[0]} ({found['machine'].split(', ', 1)[1]}), {found['rounds']} rounds in turns; pixels "
        f"compared over {found['cells_compared']} cells:",
        "",
        *table(found["ways"]),
    ]
    kinds = list(next(iter(found["share_in_products_of_training"].values())))
    lines += [
        "",
        f"CPU time of training steps that lies in products, in {' and '.join(kinds)}:",
    ]
    for part, shares in found["share_in_products_of_training"].items():
        lines.append(f"{part} {' and '.join(f'{shares[kind]:.0%}' for kind in kinds)};")
    lines[-1] = lines[-1][:-1] + ". The faster the products, the more weighs everything else."
    return "\n".join(lines) + "\n"


def quality(rivals: dict[str, Any]) -> str:
    """What the same time of one core makes of each network."""
    path = ROOT / "docs" / "results" / "quality_per_hour.json"
    denoiser = rivals["systems"].get("latent diffusion, bfloat16") or rivals["systems"]["latent diffusion, float32"]
    seconds = 1 / denoiser["images_per_second"]["median"]
    left_out = f"Latent diffusion is left out: one of its images takes {seconds:.0f} s in use.\n"
    if not path.exists():
        return f"`benchmarks/quality_per_hour.py` measures it; it has not been run yet. {left_out}"
    found = json.loads(path.read_text())
    one = next(iter(found["systems"].values()))
    kind = "bfloat16" if found["precision"] == "bf16-mixed" else "float32"
    lines = [
        f"Each learnt from chance for {found['minutes']:g} CPU minutes on {found['machine']}, one thread, {kind}, PyTorch "
        f"{found['torch']}, from the same {found['training_images']:,} images of `{found['data']}`; {one['images']} of its images, "
        f"one set of all types, against as many of the test part, by {found['extractor']}, which none learnt from. Real "
        f"training cells have distance 1 and coverage {one['coverage_of_real']:.2f}.",
        "",
        "| network | given | images shown | Fréchet distance, of the floor | coverage |",
        "|---|---|---:|---:|---:|",
    ]
    for name, row in sorted(
        found["systems"].items(), key=lambda item: (item[1]["given"], item[1]["frechet_of_the_floor"][0])
    ):
        views = ", ".join(f"{stage} {n:,}".strip() for stage, n in row.get("images_shown", {}).items())
        distance, cover = row["frechet_of_the_floor"], row["coverage"]
        lines.append(f"| {name} | {row['given']} | {views or 'as above'} | {interval(distance)} | {interval(cover)} |")
    return "\n".join([*lines, "", left_out])


def interval(three: list[float | None]) -> str:
    """value [low, high]; the value alone where there is no interval."""
    value, low, high = (None if x is None else shown(x) if x else "0" for x in three)
    return str(value) if low is None else f"{value} [{low}, {high}]"


def plot(growth: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Four small plots in one file."""
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams.update({"font.size": 9})
    import matplotlib.pyplot as plt

    figure, places = plt.subplots(1, 4, figsize=(11, 2.6), layout="constrained")
    draw = (
        ("resolution", "side", "images_per_second", "side of the image, pixels", "images a second"),
        ("count", "count", "seconds", "images in one request", "seconds"),
        ("types", "types", "images_per_second", "cell types of a bundle", "images a second"),
        ("processes", "processes", "images_per_second", "processes of one thread", "images a second"),
    )
    for place, (kind, across, up, label, side) in zip(places, draw, strict=True):
        points = growth[kind]
        place.plot([p[across] for p in points], [p[up] for p in points], "o-", color="#5e35b1")
        if kind != "processes":
            place.set_xscale("log", base=2 if kind != "types" else 10)
        if kind in ("resolution", "count"):
            place.set_yscale("log")
            place.set_yticks([p[up] for p in points], [shown(p[up]) for p in points])
        place.set_xticks([p[across] for p in points], [f"{p[across]:,}" for p in points])
        place.minorticks_off()
        place.set(xlabel=label, ylabel=side)
        if kind not in ("resolution", "count"):
            place.set_ylim(bottom=0)
        place.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130, facecolor="white", metadata={"Software": None})
    plt.close(figure)


def growth(found: dict[str, Any]) -> str:
    """The plot's figures in words."""
    grown = found["growth"]
    sides = ", ".join(f"{p['side']}² {shown(p['images_per_second'])}" for p in grown["resolution"])
    types = ", ".join(f"{p['types']:,}: {shown(p['images_per_second'])}" for p in grown["types"])
    few, many = grown["count"][0], grown["count"][-1]
    one, two = (p["images_per_second"] for p in grown["processes"])
    return (
        f"Images a second by the side of the image: {sides}. By the number of types: {types} (a further type costs a row of "
        f"weights). Memory after {few['count']} images {few['peak_memory_mib']:.0f} MiB, after {many['count']:,} "
        f"{many['peak_memory_mib']:.0f} MiB. Two processes of one thread each, writing shards side by side, start included, "
        f"make {two / one:.1f} times what one makes.\n"
    )


def main() -> None:
    found = json.loads((ROOT / "docs" / "results" / "rivals.json").read_text())
    page = ROOT / "docs" / "explanation" / "speed.md"
    text = page.read_text()
    parts = {"words": words, "making": making, "training": training, "quality": quality, "growth": growth}
    for marker, content in parts.items():
        text = between(text, marker, content(found))
    text = between(text, "engines", engines())
    page.write_text(text)
    plot(found["growth"], ROOT / "docs" / "images" / "growth.png")
    print(f"{page.relative_to(ROOT)} and docs/images/growth.png are up to date.")


if __name__ == "__main__":
    main()
