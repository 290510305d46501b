"""An evaluation from the browser to its report: begun, stopped, resumed, the server killed meanwhile and started again."""

from __future__ import annotations

import numpy as np
from tests.conftest import draw_cell
from tests.jobs.test_jobs import kill
from tests.web.browser import chromium, images_shown, no_overflow, serving

from syntheticcellgan.jobs.records import Jobs

# So few of each type that the dear sections say so and are passed over; enough in all for the others.
TYPES = ("basophil", "eosinophil", "lymphocyte", "monocyte", "myelocyte", "neutrophil", "platelet", "promyelocyte")
SETS = {"held out": 8, "made <b>here": 4}


def test_an_evaluation_from_the_form_to_its_report(tmp_path):
    rng = np.random.default_rng(0)
    for what, count in SETS.items():
        for k, name in enumerate(TYPES):
            (tmp_path / what / name).mkdir(parents=True)
            for i in range(count):
                draw_cell(60 + 8 * k, 30 + 4 * k, rng, side=64).save(tmp_path / what / name / f"{i}.png")
    work = tmp_path / "work"
    jobs = Jobs(work)
    real, synthetic = (str(tmp_path / what) for what in SETS)
    arguments = ("--database", str(tmp_path / "room.sqlite"), "--folder", str(work))
    try:
        with chromium() as browser, serving(*arguments, "--real", real, "--synthetic", synthetic) as server:
            look = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
            page = browser.new_context(**look).new_page()
            page.goto(server.address)
            page.get_by_role("link", name="Reports").last.click()
            page.get_by_role("link", name="New evaluation").click()
            for name, what in (("real", "held out"), ("what", "made <b>here")):
                option = page.locator(f"select[name={name}] option", has_text=what).first
                page.locator(f"select[name={name}]").select_option(option.get_attribute("value"))
            page.get_by_label("Name").fill("Drawn <i>cells")
            page.get_by_role("button", name="Begin the evaluation").click()
            page.get_by_role("button", name="Stop").click()
            page.get_by_role("button", name="Resume").click(timeout=400_000)
            page.get_by_role("button", name="Stop").wait_for()
            where = page.url.split("/", 3)[3]
            page.close()
            server.kill()
            (job,) = jobs.all()
            assert job.state == "running"

            server.start()
            page = browser.new_context(**look).new_page()
            page.goto(server.address)
            assert "“Drawn <i>cells” is running" in page.locator("main").inner_text()
            page.goto(f"http://127.0.0.1:{server.port}/{where}")
            page.get_by_role("link", name="The whole report").wait_for(timeout=400_000)  # the page looks by itself
            assert jobs.all()[0].state == "finished"
            said = page.locator("main").inner_text()
            assert "32 synthetic against 64 real cells of 8 types, quick protocol" in said
            assert "Stop" not in said
            page.get_by_role("region", name="Key figures").wait_for()
            assert no_overflow(page)
            page.get_by_role("link", name="The whole report").click()
            page.wait_for_url("**/report.html")
            assert images_shown(page)
            page.goto(f"http://127.0.0.1:{server.port}/reports")
            page.get_by_role("row", name="Drawn <i>cells").get_by_text("finished").wait_for()
    finally:
        for job in jobs.all():
            kill(job)
