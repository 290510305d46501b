"""Every page, light and dark, wide and narrow, by axe-core: no serious finding."""

from __future__ import annotations

import pytest
from tests.stain.smears import abroad, home
from tests.web.browser import chromium, no_overflow, serving

from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.review import reading
from syntheticcellgan.review.checklist import Answer
from syntheticcellgan.review.database import open_database
from syntheticcellgan.review.sessions import Settings, create_session, invite_reader
from syntheticcellgan.stain.look import fit


def test_no_page_has_a_serious_finding(tmp_path, folders, work):
    checker = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is missing"
    ).Axe()
    place = tmp_path / "room.sqlite"
    database = open_database(place)
    manifests = read_manifest(folders[0]), read_manifest(folders[1])
    made = create_session(database, "Pages", *manifests, Settings(1, 1, primed=True, examples=1), seed=1)
    first, second = (invite_reader(database, made).token for _ in range(2))
    reader = reading.sign_in(database, second)
    for position in range(6):
        item = reading.show_item(database, reader, 1, position).id
        answer = Answer("real" if position % 2 else "synthetic", 2, "monocyte", {"granules": "typical"}, 3)
        reading.save_answer(database, reader, item, answer, "k")
    reading.open_primer(database, reader)
    database.close()
    fit([abroad(home(seed)) for seed in range(22)], "Ward 5").write(work / "looks" / "ward.json")
    studio = (
        "/studio?cell_type=platelet&count=8",
        "/studio/cell/0/platelet/3",
        "/studio/bundle/0",
        "/studio/balance",
        "/studio/looks",
    )
    walk = "/studio/walk?cell_type=platelet&seed=1&to_seed=2"
    runs = ("/runs", "/runs/new", "/runs/my%20run", "/reports", "/reports/new", "/reports/my%20report")
    organiser = (
        "/",
        *studio,
        walk,
        *runs,
        "/sessions",
        "/sessions/new",
        f"/sessions/{made}",
        f"/sessions/{made}/results",
    )
    readers = (f"/read/{first}", f"/read/{first}/cell/1/1", f"/read/{second}", f"/read/{second}/examples", "/nowhere")
    with chromium() as browser, serving("--database", str(place), "--folder", str(work)) as server:
        everything = (*organiser, *readers)
        styled = (
            "/",
            studio[0],
            walk,
            runs[2],
            runs[5],
            f"/sessions/{made}",
            f"/sessions/{made}/results",
            *readers[:2],
        )
        for scheme, width, paths in (("light", 1280, everything), ("dark", 360, styled)):
            # The checker's script is put into the page from outside, which the page's own policy forbids.
            options = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}, "bypass_csp": True}
            page = browser.new_context(**options).new_page()
            page.goto(server.address)
            for path in paths:
                page.goto(f"http://127.0.0.1:{server.port}{path}")
                assert no_overflow(page), (path, width)
                found = checker.run(page).response["violations"]
                serious = [
                    (v["id"], n["target"]) for v in found if v["impact"] in ("serious", "critical") for n in v["nodes"]
                ]
                assert serious == [], (path, scheme)
