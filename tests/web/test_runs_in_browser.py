"""A training that is begun in a real browser, goes on when the server is killed, and is stopped by the next one."""

from __future__ import annotations

from tests.jobs.test_jobs import kill
from tests.web.browser import chromium, no_overflow, serving

from syntheticcellgan.jobs.records import Jobs


def test_a_training_outlives_browser_and_server(tmp_path):
    jobs = Jobs(tmp_path)
    arguments = ("--database", str(tmp_path / "room.sqlite"), "--folder", str(tmp_path))
    try:
        with chromium() as browser, serving(*arguments) as server:
            page = browser.new_context(viewport={"width": 360, "height": 740}).new_page()
            page.goto(server.address)
            page.get_by_role("link", name="Trainings").last.click()
            page.get_by_role("link", name="New training").click()
            page.get_by_label("Name").fill("Sample, over night")
            page.get_by_label("Hours").fill("1")
            page.get_by_role("button", name="Begin the training").click()
            page.get_by_role("button", name="Stop").wait_for()
            address = page.url
            page.close()
            server.kill()
            assert jobs.all()[0].state in ("starting", "running")

            server.start()
            page = browser.new_context(viewport={"width": 360, "height": 740}).new_page()
            page.goto(server.address)
            assert "“Sample, over night” is running" in page.locator("main").inner_text()
            page.goto(f"http://127.0.0.1:{server.port}/reports/new")
            page.get_by_role("button", name="Begin the evaluation").click()
            assert "one at a time" in page.get_by_role("alert").inner_text()
            page.goto(f"http://127.0.0.1:{server.port}/{address.split('/', 3)[3]}")
            page.get_by_role("button", name="Stop").click()
            page.get_by_role("button", name="Resume").wait_for(timeout=400_000)  # the page looks by itself
            assert "stopped" in page.locator("main").inner_text()
            assert no_overflow(page)
            assert jobs.all()[0].state == "stopped"
    finally:
        for job in jobs.all():
            kill(job)
