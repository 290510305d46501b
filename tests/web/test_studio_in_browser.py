"""A whole visit to the studio in a real browser: choose, look on, enlarge, reject, download."""

from __future__ import annotations

import csv
import io
import zipfile

from tests.web.browser import chromium, images_shown, no_overflow, serving


def test_a_visit_to_the_studio(tmp_path):
    with chromium() as browser, serving("--database", str(tmp_path / "room.sqlite")) as server:
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        page.goto(server.address)
        page.get_by_role("link", name="Make cells").click()
        page.get_by_label("Cell type").select_option("lymphocyte")
        assert "sky-blue cytoplasm" in page.locator("#note").inner_text()
        page.get_by_label("How many").fill("8")
        page.get_by_label("First seed").fill("40")
        page.get_by_role("button", name="Make cells").click()
        page.get_by_text("8 made, 8 kept").wait_for()
        assert images_shown(page)
        assert no_overflow(page)
        page.get_by_label("keep 42").uncheck()
        page.get_by_text("8 made, 7 kept").wait_for()
        with page.expect_download() as saved:
            page.get_by_role("button", name="Download").click()
        content = saved.value.path().read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            rows = list(csv.DictReader(io.StringIO(packed.read("metadata.csv").decode())))
        assert [row["seed"] for row in rows] == ["40", "41", "43", "44", "45", "46", "47"]
        page.get_by_alt_text("seed 43").click()
        assert page.get_by_text("nearest training image").is_visible()
        page.get_by_role("link", name="Seed 44").click()
        assert page.get_by_role("heading", name="Lymphocyte, seed 44").is_visible()
        page.goto(f"http://127.0.0.1:{server.port}/studio?cell_type=nonsense")
        assert "knows no cell type" in page.get_by_role("alert").inner_text()
        page.goto(f"http://127.0.0.1:{server.port}/studio/bundle/0")
        assert images_shown(page)
