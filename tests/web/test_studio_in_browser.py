"""Whole visits to the studio in a real browser: choose, look on, enlarge, reject, download, walk, balance; by keyboard."""

from __future__ import annotations

import csv
import io
import zipfile

from tests.web.browser import chromium, images_shown, no_overflow, serving
from tests.web.test_pages import archive


def test_a_visit_to_the_studio(tmp_path, folders):
    with chromium() as browser, serving("--database", str(tmp_path / "room.sqlite")) as server:
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
        page.goto(server.address)
        page.get_by_role("link", name="Make cells").click()
        page.get_by_label("Cell type").select_option("lymphocyte")
        page.locator("#note").get_by_text("sky-blue cytoplasm").wait_for()
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
        page.get_by_text("nearest training image").wait_for()
        assert "9 of 10 real ones" in page.get_by_role("region", name="Measures").inner_text()
        page.get_by_role("link", name="Seed 44").click()
        page.get_by_role("heading", name="Lymphocyte, seed 44").wait_for()
        page.get_by_label("keep this cell").uncheck()
        page.get_by_role("link", name="To the sheet of cells").click()
        page.get_by_text("8 made, 6 kept").wait_for()
        assert not page.get_by_label("keep 42").is_checked()
        page.get_by_alt_text("seed 44").click()

        # From this cell to another one, by the slider.
        page.get_by_label("Walk from here to").select_option("monocyte")
        page.get_by_role("button", name="Show the way").click()
        slider = page.get_by_role("slider")
        slider.wait_for()
        page.wait_for_load_state("load")  # the pictures are made meanwhile
        assert images_shown(page)
        first = page.locator("#shown").get_attribute("src")
        slider.focus()
        for _ in range(8):
            page.keyboard.press("ArrowRight")
        assert page.locator("#said").inner_text() == "50 % of the way"
        assert page.locator("#shown").get_attribute("src") == first.replace("/0.png", "/8.png")
        page.keyboard.press("End")
        assert page.locator("#said").inner_text() == "Monocyte 45"

        # A data set that lacks two cells of one type.
        page.get_by_role("link", name="Balance a data set").click()
        picture = next((folders[0] / "platelet").glob("*.png")).read_bytes()
        extra = [(f"cells/platelet/more{k}.png", picture) for k in range(2)] + [("cells/lymphocyte/more.png", picture)]
        sent = {"name": "mine.zip", "mimeType": "application/zip", "buffer": archive(folders[0], extra=extra)}
        page.get_by_label("Data set (zip)").set_input_files(sent)
        page.get_by_role("button", name="Count the cells").click()
        assert page.get_by_label("Monocyte, cells to be made").input_value() == "2"
        with page.expect_download() as saved:
            page.get_by_role("button", name="Make and download").click()
        with zipfile.ZipFile(io.BytesIO(saved.value.path().read_bytes())) as packed:
            names = [name.split("/")[0] for name in packed.namelist()]
        assert names == ["lymphocyte", "monocyte", "monocyte", "metadata.csv"]

        assert refused == [], "nothing was stopped by the policy"
        page.goto(f"http://127.0.0.1:{server.port}/studio?cell_type=nonsense")
        assert "knows no cell type" in page.get_by_role("alert").inner_text()
        page.goto(f"http://127.0.0.1:{server.port}/studio/bundle/0")
        assert images_shown(page)


def test_the_studio_by_keyboard_alone(tmp_path):
    with chromium() as browser, serving("--database", str(tmp_path / "room.sqlite")) as server:
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        page.goto(server.address)

        def tab_to(found: str) -> None:
            for _ in range(60):
                page.keyboard.press("Tab")
                if page.evaluate("(found) => document.activeElement.matches(found)", found):
                    return
            raise AssertionError(f"{found} cannot be reached")

        tab_to("a.button[href='/studio']")
        page.keyboard.press("Enter")
        page.wait_for_url("**/studio")
        page.locator("select[name=cell_type]").wait_for()
        page.wait_for_load_state("load")
        tab_to("select[name=cell_type]")
        page.keyboard.type("Platelet")
        tab_to("input[name=count]")
        page.keyboard.type("2")
        page.keyboard.press("Enter")
        page.get_by_text("2 made, 2 kept").wait_for()
        tab_to("input[name=keep][value='1']")
        page.keyboard.press("Space")
        page.get_by_text("2 made, 1 kept").wait_for()
        tab_to("form[action='/studio/pack'] button")
        with page.expect_download() as saved:
            page.keyboard.press("Enter")
        with zipfile.ZipFile(io.BytesIO(saved.value.path().read_bytes())) as packed:
            assert packed.namelist() == ["platelet/platelet-00000000.png", "metadata.csv"]
