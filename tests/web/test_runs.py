"""Trainings and reports in the browser: forms, what is shown, what is refused."""

from __future__ import annotations

import re
import time

import pytest
from tests.web.conftest import open_site

from syntheticcellgan.jobs.records import Jobs


@pytest.fixture(scope="module")
def runs_site(tmp_path_factory, work, folders):
    made = open_site(tmp_path_factory.mktemp("room"), folders, bundles=["pbc-256"], folder=work)
    yield made
    made.database.close()


def test_a_run_of_the_command_line_is_shown(runs_site):
    assert "my run" in runs_site.organiser.get("/runs").text
    page = runs_site.organiser.get("/runs/my%20run")
    assert page.status_code == 200, page.text
    for wanted in (
        "made on the command line",
        "16 of 16 images",
        "finished",
        "lymphocyte, monocyte, platelet",
        "<polyline",
    ):
        assert wanted in page.text, wanted
    grids = re.findall(r'(?:src|href)="(/runs/my%20run/grid/[^"]+)"', page.text)
    assert len(grids) == 8  # four stages, each as PNG and as JPEG
    for address in grids[:2]:
        assert runs_site.organiser.get(address).headers["content-type"] in ("image/png", "image/jpeg")


def test_its_bundle_is_offered_in_the_studio_and_for_sessions(runs_site):
    page = runs_site.organiser.get("/runs/my%20run").text
    address = re.search(r'href="(/studio\?bundle=\d+)"', page)[1]
    assert '<option value="1" selected>my run</option>' in runs_site.organiser.get(address).text
    assert runs_site.organiser.get("/studio/picture/1/platelet/0.png").headers["content-type"] == "image/png"
    assert "Made now by my run" in runs_site.organiser.get("/sessions/new").text
    assert "Held out by my run" in runs_site.organiser.get("/reports/new").text


def test_a_report_is_shown_and_the_whole_of_it_kept_apart(runs_site):
    assert "my report" in runs_site.organiser.get("/reports").text
    page = runs_site.organiser.get("/reports/my%20report").text
    for wanted in ("102 synthetic against 102 real cells of 3 types", "Showing to students", "Near duplicates"):
        assert wanted in page, wanted
    whole = runs_site.organiser.get("/reports/my%20report/report.html")
    assert whole.text.startswith("<!doctype html>")
    policy = whole.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script" not in policy
    assert whole.headers["x-content-type-options"] == "nosniff"
    table = runs_site.organiser.get("/reports/my%20report/metrics.csv")
    assert table.headers["content-disposition"].startswith("attachment")
    for name in ("report.json", "cache", "..%2f..%2fetc%2fpasswd", "%2e%2e"):
        assert runs_site.organiser.get(f"/reports/my%20report/{name}").status_code == 404


def test_names_that_are_not_there_open_nothing(runs_site, work):
    (work.parent / "outside").mkdir(exist_ok=True)
    (work.parent / "outside" / "run.json").write_text((work / "my run" / "run.json").read_text())
    for name in ("nothing", "%2e%2e%2foutside", "..%5coutside", "jobs", "%00"):
        for path in (f"/runs/{name}", f"/runs/{name}/state", f"/reports/{name}", f"/reports/{name}/report.html"):
            assert runs_site.organiser.get(path).status_code == 404, path
        for what in ("stop", "resume"):
            assert runs_site.post(f"/jobs/{name}/{what}").status_code == 404
    for stage, file in (("translation", "x.png"), ("..", "run.json"), ("nothing", "a.jpg")):
        assert runs_site.organiser.get(f"/runs/my%20run/grid/{stage}/{file}").status_code == 404


def test_strangers_and_other_sites_start_nothing(runs_site, work):
    fields = {"title": "Evil", "data": "source-0", "hours": "1"}
    for path in ("/runs", "/reports", "/jobs/x/stop", "/studio/balance/fill"):
        assert runs_site.stranger.post(path, data={"csrf": runs_site.keys.csrf, **fields}).status_code in (403, 422)
        assert runs_site.organiser.post(path, data=fields).status_code in (403, 422)
        evil = {"origin": "http://evil.example"}
        posted = runs_site.organiser.post(path, data={"csrf": runs_site.keys.csrf, **fields}, headers=evil)
        assert posted.status_code == 403
    for path in ("/runs", "/runs/new", "/runs/my%20run", "/reports", "/reports/my%20report/report.html"):
        assert runs_site.stranger.get(path).status_code == 403
    assert Jobs(work).all() == []


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"data": "/etc"}, "Choose a data set"),
        ({"data": "source-0", "hours": "-1"}, "The hours can be"),
        ({"data": "source-0", "start_from": "../pbc-256"}, "Choose a bundle"),
    ],
)
def test_what_is_wrong_is_said_above_the_form(runs_site, fields, sentence):
    answer = runs_site.post("/runs", title="Too <bad>", **{"hours": "1", **fields})
    assert answer.status_code == 422
    assert sentence in answer.text
    assert 'value="Too &lt;bad&gt;"' in answer.text


def test_a_job_from_the_form_whose_failure_is_told(runs_site, work, folders):
    """Six images a type are too few to learn from, which the training itself says."""
    begun = runs_site.post("/runs", title="--out=/etc\nx", data="source-0", hours="0.1")
    assert begun.status_code == 303, begun.text
    address = begun.headers["location"]
    until = time.monotonic() + 300
    while "data-live" in (page := runs_site.organiser.get(f"{address}/state").text):
        assert time.monotonic() < until
        time.sleep(0.2)
    assert "training needs at least 10 of each type" in page
    assert ">Resume</button>" in page
    (job,) = Jobs(work).all()
    assert job.title == "--out=/etc x"
    assert job.arguments == ("train", str(folders[0]), f"--out={work / job.name}", "--hours=0.1", "--name=--out=/etc x")
    assert runs_site.post(f"/jobs/{job.name}/stop").status_code == 422
    assert "<h1>--out=/etc x</h1>" in runs_site.organiser.get(address).text
