"""The screenshots of the studio and the reading room in docs/images, and how soon the studio shows its cells.

    python benchmarks/screenshots.py [--folder WORK --run NAME --report NAME] [--look FOLDER] [--only NAME …]

With a work folder, the pages of a training and of a report in it as well; with a folder of a laboratory's images, the
studio in its look. --only: these pages, and no times.
Needs a Chromium and the development extras. The answers in the pictures are drawn at random: the session and its readers
are called simulated, and nothing about the bundle follows from them.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from syntheticcellgan.data.images import is_image_file
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.sample import sample_folder
from syntheticcellgan.pipeline import SyntheticCellGAN
from syntheticcellgan.review import reading
from syntheticcellgan.review.checklist import FEATURES, JUDGEMENTS, Answer
from syntheticcellgan.review.database import open_database
from syntheticcellgan.review.sessions import Settings, create_session, invite_reader
from syntheticcellgan.review.tables import CellImage, Item
from syntheticcellgan.writer import Request, write_cells

DOCS = Path(__file__).resolve().parents[1] / "docs"
BUNDLE = "pbc-256"
PATIENCE = 500_000  # milliseconds, on a busy machine
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 740}}


def simulate(place: Path, cells: Path) -> tuple[str, str]:
    """A session with four simulated readers; its id and the last one's token."""
    chain = SyntheticCellGAN.load(BUNDLE)
    write_cells(chain, [Request(name, 4) for name in chain.cell_types], cells)
    database = open_database(place)
    sets = read_manifest(sample_folder()), read_manifest(cells)
    session = create_session(database, "Simulated readers", *sets, Settings(4, 4, repeated=8), seed=3)
    rng = random.Random(0)
    token = ""
    with database.reading() as rows:
        known = {i.id: (i.truth, i.cell_type) for i in rows.scalars(sa.select(CellImage))}
    for number, right in enumerate((0.7, 0.6, 0.55, 0.5), 1):
        token = invite_reader(database, session, f"Simulated {number}").token
        reader = reading.sign_in(database, token)
        with database.reading() as rows:
            mine = sa.select(Item.id, Item.image_id).where(Item.reader_id == reader.reader_id).order_by(Item.position)
            items = rows.execute(mine).tuples().all()
        for k, (item, image) in enumerate(items if number < 4 else items[:30]):
            truth, cell_type = known[image]
            other = "synthetic" if truth == "real" else "real"
            checklist = {name: rng.choice(list(JUDGEMENTS)) for name in FEATURES} if k % 3 == 0 else {}
            answer = Answer(
                truth if rng.random() < right else other,
                rng.randint(1, 4),
                cell_type if rng.random() < 0.85 else "monocyte",
                checklist,
                rng.randint(2, 5),
                seconds=rng.uniform(3, 20),
            )
            reading.save_answer(database, reader, item, answer, "k")
    database.close()
    return session, token


def shoot(page: Page, name: str) -> None:
    """A PNG of few colours, so that it stays small."""
    page.wait_for_load_state("networkidle")
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    path = DOCS / "images" / f"{name}.png"
    for colours in (128, 64, 32):
        picture.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < 200_000:
            break


def send_look(page: Page, folder: Path) -> str:
    """A look of 40 images of a folder, evenly spread, sent as a user would; its id."""
    files = sorted(path for path in folder.rglob("*") if is_image_file(path))
    page.get_by_role("link", name="Studio").first.click()
    page.get_by_role("link", name="Laboratory looks").click()
    page.get_by_label("At least 20 images").set_input_files(files[:: max(len(files) // 40, 1)][:40])
    page.get_by_label("Name of the laboratory").fill(folder.name)
    page.get_by_role("button", name="Make cells in this look").click()
    page.wait_for_url("**/studio?look=*")
    return page.url.split("look=")[1]


def visit(browser: Browser, address: str, session: str, token: str, options: argparse.Namespace) -> None:
    run, report = options.run, options.report
    base = address.split("/enter")[0]
    walk = "/studio/walk?cell_type=neutrophil&seed=1&to_type=lymphocyte&to_seed=5"
    pages = {
        "reading": (f"/read/{token}/cell/1/13", (("desktop", "light"), ("phone", "dark"))),
        "results": (f"/sessions/{session}/results", (("desktop", "dark"), ("phone", "light"))),
        "studio": ("/studio?cell_type=eosinophil&count=16", (("desktop", "light"), ("phone", "dark"))),
        "walk": (walk, (("desktop", "dark"), ("phone", "light"))),
    }
    if run:
        pages["training"] = (f"/runs/{run}", (("desktop", "light"), ("phone", "dark")))
    if report:
        pages["report"] = (f"/reports/{report}", (("desktop", "dark"), ("phone", "light")))
    if options.look:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        chosen = send_look(page, options.look)
        path = f"/studio?cell_type=eosinophil&count=16&look={chosen}"
        pages["look"] = (path, (("desktop", "dark"), ("phone", "light")))
    for name, (path, looks) in pages.items():
        if options.only and name not in options.only:
            continue
        for size, scheme in looks:
            phone = size == "phone"
            look = {"viewport": SIZES[size], "color_scheme": scheme, "has_touch": phone, "is_mobile": phone}
            page = browser.new_context(**look).new_page()
            page.set_default_timeout(PATIENCE)
            page.goto(address)
            page.goto(base + path)
            if name in ("studio", "look"):
                page.locator("#made").scroll_into_view_if_needed()
                page.evaluate("document.querySelector('h2').scrollIntoView()")
            if name == "walk":
                page.get_by_role("slider").fill("8")
                page.evaluate("document.querySelector('.way').scrollIntoView()")
            shoot(page, f"{name}-{size}-{scheme}")


def measure(browser: Browser, address: str) -> dict[str, float]:
    """Seconds until the first page, and from the click until the first and the last of 16 new cells are shown."""
    # wait_for_function evaluates text, which the pages themselves forbid.
    page = browser.new_context(viewport=SIZES["desktop"], bypass_csp=True).new_page()
    start = time.perf_counter()
    page.goto(address)
    first_page = time.perf_counter() - start
    page.goto(address.split("/enter")[0] + "/studio")
    start = time.perf_counter()
    page.get_by_label("First seed").fill("1000")
    page.get_by_role("button", name="Make cells").click()
    ready = "[...document.querySelectorAll('.sheet img')].filter((i) => i.complete && i.naturalWidth).length"
    page.wait_for_function(f"{ready} >= 1")
    first = time.perf_counter() - start
    page.wait_for_function(f"{ready} == 16")
    all_of_them = time.perf_counter() - start
    return {"first_page_seconds": first_page, "first_cell_seconds": first, "sixteen_cells_seconds": all_of_them}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="work folder to be shown")
    parser.add_argument("--run", help="name of a run in it")
    parser.add_argument("--report", help="name of a report in it")
    parser.add_argument("--look", type=Path, help="folder with images of a laboratory")
    parser.add_argument("--only", nargs="+", default=(), help="only these pages")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        place = Path(folder) / "room.sqlite"
        needed = not options.only or {"reading", "results"} & set(options.only)
        session, token = simulate(place, Path(folder) / "cells") if needed else ("", "")
        command = [sys.executable, "-m", "syntheticcellgan", "serve", "--port", "0", "--database", str(place)]
        command += ["--folder", str(options.folder or folder)]
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            assert server.stdout is not None
            address = ""
            while not (found := re.search(r"http\S+token=\S+", address)):
                address = server.stdout.readline()
            time.sleep(15)  # the networks are loaded
            times = {} if options.only else {k: round(v, 2) for k, v in measure(browser, found[0]).items()}
            visit(browser, found[0], session, token, options)
        finally:
            browser.close()
            server.kill()
            server.wait()
    if options.only:
        return
    times |= {"cores": os.cpu_count() or 0, "load_average": round(os.getloadavg()[0], 1)}
    (DOCS / "results" / "studio.json").write_text(json.dumps(times, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(times, indent=2))


if __name__ == "__main__":
    main()
