"""Looks of laboratories in the studio: sent as images, zip or file; what is wrong is said; nothing else is kept."""

from __future__ import annotations

import io
import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image
from tests.stain.smears import abroad, home
from tests.web.browser import chromium, images_shown, no_overflow, serving
from tests.web.conftest import open_site
from tests.web.test_attacks import huge_png

from syntheticcellgan.stain.look import fit, read_look


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def smears() -> list[bytes]:
    """22 images of one laboratory."""
    return [png(abroad(home(seed))) for seed in range(22)]


@pytest.fixture(scope="module")
def looks_site(tmp_path_factory, folders):
    place = tmp_path_factory.mktemp("looks")
    (place / "work").mkdir()
    made = open_site(place, folders, bundles=["pbc-256"], folder=place / "work")
    made.place = place / "work"
    yield made
    made.database.close()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def send(site, *files: tuple[str, bytes], name: str = ""):
    fields = {"csrf": site.keys.csrf, "name": name}
    sent = [("images", file) for file in files]
    return site.organiser.post("/studio/looks", data=fields, files=sent, follow_redirects=False)


def test_images_a_zip_and_a_file_give_the_same_look(looks_site, smears, tmp_path):
    site = looks_site
    told = send(site, *((f"{k}.png", content) for k, content in enumerate(smears)), name="=Ward 5\n<b>")
    assert told.status_code == 303, told.text
    (kept,) = (site.place / "looks").iterdir()
    look = read_look(kept)
    assert (look.name, len(look)) == ("Ward 5 <b>", 22)
    assert told.headers["location"] == f"/studio?look={look.id}"
    assert [path.name for path in site.place.rglob("*") if path.is_file()] == [kept.name], "no image is kept"

    packed = zipped({"readme.txt": b"x", **{f"a/b/{k}.PNG": content for k, content in enumerate(smears)}})
    assert send(site, ("x.zip", packed), name="Zip").headers["location"].endswith(look.id)
    fit([abroad(home(seed)) for seed in range(22)], "By command").write(tmp_path / "look.json")
    assert send(site, ("look.json", (tmp_path / "look.json").read_bytes())).headers["location"].endswith(look.id)
    assert [read_look(path).name for path in (site.place / "looks").iterdir()] == ["By command"]

    page = site.organiser.get(f"/studio?look={look.id}&cell_type=platelet&count=1&seed=97").text
    assert "in the look of By command" in page
    address = re.search(r'src="(/studio/picture/[^"]+)"', page)[1].replace("&amp;", "&")
    with Image.open(io.BytesIO(site.organiser.get(address).content)) as image:
        assert json.loads(image.info["Description"])["style"] == "By command"
    walk = site.organiser.get(f"/studio/walk?look={look.id}&cell_type=platelet").text
    assert walk.count(f"look={look.id}") == 3 * 17 - 16  # the shown one, and each of the strip twice
    cell = site.organiser.get(f"/studio/cell/0/platelet/97?look={look.id}").text
    assert f"--style {kept}" in cell
    assert 'fill="#' in site.organiser.get("/studio/looks").text

    assert site.post(f"/studio/looks/{look.id}/forget").status_code == 303
    assert list((site.place / "looks").iterdir()) == []
    assert site.organiser.get(f"/studio?look={look.id}&cell_type=platelet").status_code == 422
    assert site.post("/studio/looks/..%2f..%2fx/forget").status_code == 404


def test_what_is_no_look_is_refused_with_a_sentence(looks_site, smears):
    nineteen = [(f"{k}.png", content) for k, content in enumerate(smears[:19])]
    blank = png(np.full((96, 96, 3), 240, np.uint8))
    refused = [
        ([], "Choose at least 20 images"),
        (nineteen, "has 19 images; a laboratory’s look needs at least 20".replace("’", "'")),
        ([*nineteen, ("notes.png", b"no image")], "notes.png is not an image that can be read"),
        ([*nineteen, ("big.png", huge_png(30_000))], "big.png has more than 64 million pixels"),
        ([*nineteen, ("thesis.pdf", b"%PDF")], "thesis.pdf is neither an image nor a zip"),
        ([(f"{k}.png", blank) for k in range(20)], "was found in 0 of 20 images"),
        ([("x.zip", b"PK\x03\x04 and no more")], "no zip archive"),
        ([("x.zip", zipped({"a.png": b"\0" * 30_000_000}))], "larger than an image of a cell"),
        ([("x.zip", zipped({"readme.txt": b"x"}))], "holds no images"),
        ([("look.json", b"[1")], "look.json is no JSON"),
        ([("look.json", b"{}")], "look.json holds no look"),
        ([("look.json", b" " * 4_100_000)], "look.json is too large"),
    ]
    for files, sentence in refused:
        answer = send(looks_site, *files, name="Kept <name>")
        assert answer.status_code == 422, sentence
        assert sentence in answer.text.replace("&#39;", "'"), answer.text
        assert 'value="Kept &lt;name&gt;"' in answer.text
    assert not list(looks_site.place.rglob("*.json"))


def test_strangers_send_nothing_long(looks_site, smears):
    fields = {"csrf": looks_site.keys.csrf}
    sent = [("images", ("x.zip", b"\0" * 300_000))]
    for path in ("/studio/looks", "/sessions", "/runs", "/reports", "/studio/balance"):
        assert looks_site.stranger.post(path, data=fields, files=sent).status_code == 413, "before it is read"
    for headers in ({}, {"cookie": "scg_organiser=x"}):
        few = [("images", ("a.png", smears[0]))]
        assert looks_site.stranger.post("/studio/looks", data=fields, files=few, headers=headers).status_code == 403
    assert looks_site.organiser.post("/studio/looks", files=few).status_code == 403


def test_a_visit_in_another_look(tmp_path, smears):
    for k, content in enumerate(smears):
        (tmp_path / f"{k}.png").write_bytes(content)
    arguments = ("--database", str(tmp_path / "room.sqlite"), "--folder", str(tmp_path / "work"))
    with chromium() as browser, serving(*arguments) as server:
        page = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark").new_page()
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
        page.goto(server.address)
        page.get_by_role("link", name="Make cells").click()
        page.get_by_role("link", name="add one").click()
        page.get_by_label("At least 20 images").set_input_files(sorted(tmp_path.glob("*.png")))
        page.get_by_label("Name of the laboratory").fill("Ward 5")
        page.get_by_role("button", name="Make cells in this look").click()
        page.wait_for_url("**/studio?look=*")
        page.get_by_label("How many").fill("2")
        page.get_by_role("button", name="Make cells").click()
        page.get_by_text("2 made, 2 kept").wait_for()
        assert images_shown(page)
        assert "in the look of Ward 5" in page.get_by_role("heading", level=2).inner_text()
        assert no_overflow(page)
        with page.expect_download() as saved:
            page.get_by_role("button", name="Download").click()
        with zipfile.ZipFile(saved.value.path()) as packed:
            assert packed.read("metadata.csv").decode().count(",Ward 5,") == 2
        page.get_by_alt_text("seed 1").click()
        page.get_by_role("button", name="Show the way").click()
        page.get_by_role("slider").wait_for()
        assert "look=" in page.locator("#shown").get_attribute("src")
        page.get_by_role("link", name="Laboratory looks").click()
        assert no_overflow(page)
        assert refused == [], "nothing was stopped by the policy"
        server.kill()
        server.start()  # what was fitted is still there
        page.goto(server.address)
        page.goto(f"http://127.0.0.1:{server.port}/studio/looks")
        page.get_by_role("button", name="Forget Ward 5").click()
        assert page.get_by_text("Looks at hand").count() == 0
