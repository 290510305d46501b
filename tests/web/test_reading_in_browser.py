"""A whole reading session of two readers in a real browser, the server killed in the middle."""

from __future__ import annotations

import sqlalchemy as sa
from tests.web.browser import chromium, images_shown, no_overflow, serving

from syntheticcellgan.review.database import open_database
from syntheticcellgan.review.judgements import read_judgements
from syntheticcellgan.review.tables import ReadingSession

CELLS = 7  # 3 types, 1 real and 1 synthetic each, one shown twice
BREAK = 4  # the server is killed before the answer to this cell


def invite(page, label: str) -> str:
    page.get_by_label("Invite a reader").fill(label)
    page.get_by_role("button", name="Make a personal link").click()
    return page.get_by_label("Personal link").input_value()


def read_by_keys(page, position: int) -> None:
    """Keyboard only: verdict, confidence, type, next."""
    page.wait_for_url(f"**/cell/1/{position}")
    for key in ("s" if position % 2 else "r", "3", "m"):
        page.keyboard.press(key)
    page.get_by_text("Saved", exact=True).wait_for()
    page.keyboard.press("n" if position % 3 else "Enter")


def choice(page, name: str, value: str):
    return page.locator(f".choice:has(input[name={name}][value='{value}'])")


def read_by_touch(page, position: int) -> None:
    """Taps on the words."""
    page.wait_for_url(f"**/cell/1/{position}")
    for name, value in (("verdict", "real"), ("confidence", "4"), ("cell_type", "platelet")):
        choice(page, name, value).tap()
    page.get_by_role("button", name="Next" if position < CELLS else "Finish").tap()


def test_two_readers_and_a_killed_server(tmp_path, folders):
    place = tmp_path / "room.sqlite"
    arguments = ("--database", str(place), "--real", str(folders[0]), "--synthetic", str(folders[1]))
    with chromium() as browser, serving(*arguments) as server:
        organiser = browser.new_page()
        refused: list[str] = []
        organiser.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
        organiser.goto(server.address)
        assert "token" not in organiser.url
        organiser.get_by_role("link", name="Reading sessions").click()
        organiser.get_by_role("link", name="New session").click()
        organiser.get_by_label("Title").fill("Two readers")
        for name in ("real", "synthetic"):
            option = organiser.locator(f"select[name={name}] option", has_text="Folder").first
            organiser.locator(f"select[name={name}]").select_option(option.get_attribute("value"))
        for name in ("real_per_type", "synthetic_per_type"):
            organiser.locator(f"input[name={name}]").fill("1")
        organiser.locator("input[name=repeated]").fill("1")
        organiser.get_by_role("button", name="Make the session").click()
        links = [invite(organiser, label) for label in ("Ada", "Bea")]

        desk = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        phone = browser.new_context(
            viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, color_scheme="dark"
        ).new_page()
        for page, link in ((desk, links[0]), (phone, links[1])):
            page.goto(link)
            page.get_by_role("link", name="Begin").press("Enter")
        for position in range(1, BREAK):
            read_by_keys(desk, position)
            read_by_touch(phone, position)
        for page in (desk, phone):
            page.wait_for_url(f"**/cell/1/{BREAK}")
        assert images_shown(desk)
        for page in (desk, phone):
            assert no_overflow(page)

        desk.keyboard.press("z")
        desk.keyboard.press("+")
        assert desk.locator("#zoom").inner_text() == "3×"

        server.kill()
        desk.keyboard.press("s")
        desk.get_by_text("No connection").wait_for()
        desk.keyboard.press("4")
        desk.keyboard.press("l")
        desk.keyboard.press("n")  # stays: the page would be lost
        assert desk.url.endswith(f"/cell/1/{BREAK}")
        server.start()
        desk.wait_for_url(f"**/cell/1/{BREAK + 1}")  # went on by itself when the answer was kept
        phone.reload()
        for position in range(BREAK, CELLS + 1):
            if position > BREAK:
                read_by_keys(desk, position)
            read_by_touch(phone, position)
        for page in (desk, phone):
            page.get_by_text("All cells are answered").wait_for()

        # Back, and another answer; the remark is kept by leaving it.
        desk.goto(links[0] + "/cell/1/2")
        assert desk.locator("input[value=real]").is_checked()
        desk.keyboard.press("s")
        desk.get_by_text("Morphology").click()
        desk.locator("label", has_text="Remark").locator("textarea").fill("nrs=1")  # no shortcut while writing
        desk.get_by_role("button", name="Next").click()
        desk.wait_for_url("**/cell/1/3")

        organiser.goto(server.address)
        organiser.get_by_role("link", name="Reading sessions").click()
        organiser.get_by_role("link", name="Two readers").click()
        assert organiser.get_by_text(f"{CELLS} of {CELLS}").count() == 2
        organiser.get_by_text("Close the session").click()
        organiser.get_by_role("button", name="Close it now").click()
        organiser.get_by_role("link", name="Results").click()
        organiser.get_by_text("judgements were right").wait_for()
        assert images_shown(organiser)
        with organiser.expect_download() as saved:
            organiser.get_by_role("link", name="judgements.csv").click()
        assert saved.value.suggested_filename == "judgements.csv"
        desk.reload()
        assert "closed" in desk.get_by_role("alert").inner_text()
        assert refused == [], "nothing was stopped by the policy"

    database = open_database(place)
    with database.reading() as rows:
        session = rows.scalars(sa.select(ReadingSession.id)).one()
    judgements = read_judgements(database, session)
    database.close()
    assert len(judgements) == 2 * CELLS, "none lost"
    by_key = [j for j in judgements if j.reader == "Ada"]
    # Odd ones by the key s, even ones by r; the second was changed, the fourth answered while the server was dead.
    expected = ["synthetic" if k % 2 or k in (2, BREAK) else "real" for k in range(1, CELLS + 1)]
    assert [j.verdict for j in by_key] == expected
    assert {j.confidence for j in judgements} == {3, 4}
    assert by_key[1].remark == "nrs=1"
    assert all(j.seconds is not None and 0 < j.seconds < 120 for j in judgements)
    assert {j.answered_type for j in judgements if j.reader == "Bea"} == {"platelet"}


def test_a_session_can_be_read_without_scripts(tmp_path, folders):
    from syntheticcellgan.data.manifest import read_manifest
    from syntheticcellgan.review.sessions import Settings, create_session, invite_reader

    place = tmp_path / "room.sqlite"
    database = open_database(place)
    manifests = read_manifest(folders[0]), read_manifest(folders[1])
    made = create_session(database, "Plain", *manifests, Settings(1, 1, ask_type=False, ask_checklist=False))
    token = invite_reader(database, made).token
    with chromium() as browser, serving("--database", str(place)) as server:
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto(f"http://127.0.0.1:{server.port}/read/{token}")
        page.get_by_role("link", name="Begin").click()
        for _ in range(6):
            choice(page, "verdict", "synthetic").click()
            choice(page, "confidence", "1").click()
            page.get_by_role("button", name="→").click()
        page.get_by_text("All cells are answered").wait_for()
    assert len(read_judgements(database, made)) == 6
    database.close()
