"""The organiser's and the readers' pages, by the requests that a browser would send."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile

import pytest

from syntheticcellgan.review import overview
from syntheticcellgan.review.judgements import read_judgements


def test_a_session_from_the_form_to_its_results(site):
    page = site.organiser.get("/sessions/new")
    assert page.status_code == 200
    made = site.post(
        "/sessions", title="By form", real="0", synthetic="1", real_per_type=2, synthetic_per_type=2, ask_type="true"
    )
    assert made.status_code == 303, made.text
    home = made.headers["location"]
    told = site.post(f"{home}/readers", label="Ada")
    page = site.organiser.get(told.headers["location"]).text
    link = re.search(r"http://127.0.0.1:8642(/read/[^\"]+)", page)
    assert link is not None
    assert link[0] not in site.organiser.get(told.headers["location"]).text, "told once"
    start = site.stranger.get(link[1])
    assert "12 cells" in start.text
    for position in range(1, 13):
        item = site.item(position, link[1].split("/")[2])
        fields = {"item": item, "key": "k", "verdict": "real", "confidence": "2", "cell_type": "monocyte", "go": "next"}
        answer = site.stranger.post(f"{link[1]}/cell/1/{position}", data=fields, follow_redirects=False)
        assert answer.status_code == 303
    assert answer.headers["location"] == link[1]
    assert "All cells are answered" in site.stranger.get(link[1]).text
    assert "12 of 12" in site.organiser.get(home).text
    results = site.organiser.get(f"{home}/results").text
    assert "50.0\u00a0%" in results
    assert len(list(csv.reader(io.StringIO(site.organiser.get(f"{home}/judgements.csv").text)))) == 13
    assert json.loads(site.organiser.get(f"{home}/results.json").text)["rounds"][0]["overall"]["accuracy"]["n"] == 12
    report = site.organiser.get(f"{home}/report.html")
    assert report.headers["content-disposition"] == 'attachment; filename="report.html"'
    assert site.post(f"{home}/close").status_code == 303
    closed = site.stranger.post(f"{link[1]}/cell/1/1", data={**fields, "item": item, "key": "k2"})
    assert closed.status_code == 409
    assert "closed" in site.stranger.get(link[1]).text


def test_what_is_wrong_is_said_above_the_form_which_keeps_what_was_typed(site):
    answer = site.post("/sessions", title="Too <many>", real="0", synthetic="1", real_per_type=50)
    assert answer.status_code == 422
    assert "has 6 real images" in answer.text
    assert 'value="Too &lt;many&gt;"' in answer.text


def test_the_calculator(site):
    assert "<b>57 images</b>" in site.organiser.get("/sessions/new?margin=0.1&readers=4").text
    assert "The margin can be" in site.organiser.get("/sessions/new?margin=0.9").text


def archive(folder, prefix="cells/", extra=()) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.rglob("*.png")):
            packed.write(path, f"{prefix}{path.parent.name}/{path.name}")
        for name, content in extra:
            packed.writestr(name, content)
    return buffer.getvalue()


def test_an_uploaded_archive_is_a_source(site, folders):
    files = {"real_archive": ("r.zip", archive(folders[0])), "synthetic_archive": ("s.zip", archive(folders[1], ""))}
    fields = {"csrf": site.keys.csrf, "title": "Up", "real_per_type": 2, "synthetic_per_type": 2}
    made = site.organiser.post("/sessions", data=fields, files=files, follow_redirects=False)
    assert made.status_code == 303, made.text
    assert overview.show_session(site.database, made.headers["location"].rsplit("/", 1)[1]).images == 12


def test_answers_are_kept_one_by_one_and_shown_again(site):
    item = site.item(1)
    where = f"/read/{site.token}/cell/1/1"
    first = {"item": item, "key": "a", "verdict": "synthetic", "scripted": "1"}
    assert site.stranger.post(where, data=first).status_code == 204
    second = {**first, "key": "b", "confidence": "4", "feature-granules": "typical", "quality": "5", "remark": "a\r\nb"}
    assert site.stranger.post(where, data=second).status_code == 204
    assert site.stranger.post(where, data=second).status_code == 204, "sent again after a lost connection"
    page = site.stranger.get(where).text
    for wanted in (
        'value="synthetic" checked',
        'value="4" checked',
        'name="quality" value="5" checked',
        "a\nb</textarea>",
    ):
        assert wanted in page
    (judgement,) = read_judgements(site.database, site.session)
    assert (judgement.changes, judgement.remark, judgement.checklist) == (1, "a\nb", {"granules": "typical"})


@pytest.mark.parametrize(
    "field", [{"confidence": "9"}, {"confidence": "x"}, {"seconds": "inf"}, {"key": ""}, {"verdict": "?"}]
)
def test_a_wrong_field_is_refused(site, field):
    fields = {"item": site.item(2), "key": "x", "scripted": "1", **field}
    assert site.stranger.post(f"/read/{site.token}/cell/1/2", data=fields).status_code == 422


def test_a_data_set_is_balanced(studio_site, folders):
    picture = next((folders[0] / "platelet").glob("*.png")).read_bytes()
    extra = [("cells/lymphocyte/x.png", picture), ("cells/plasma cell/y.png", picture)]
    sent = {"data": ("mine.zip", archive(folders[0], extra=extra))}
    token = {"csrf": studio_site.keys.csrf, "bundle": 0}
    page = studio_site.organiser.post("/studio/balance", data=token, files=sent)
    assert page.status_code == 200, page.text
    asked = re.findall(r'name="cell_type" value="(\w+)".*?name="count" value="(\d+)"', page.text)
    assert asked == [("lymphocyte", "0"), ("monocyte", "1"), ("platelet", "1")]
    assert "does not know this type" in page.text
    fields = {**token, "cell_type": ["monocyte", "platelet"], "count": ["1", "2"], "seed": "96"}
    made = studio_site.organiser.post("/studio/balance/fill", data=fields)
    with zipfile.ZipFile(io.BytesIO(made.content)) as packed:
        rows = list(csv.DictReader(io.StringIO(packed.read("metadata.csv").decode())))
    assert [(row["cell_type"], row["seed"]) for row in rows] == [
        ("monocyte", "96"),
        ("platelet", "96"),
        ("platelet", "97"),
    ]


def test_what_cannot_be_balanced_is_said(studio_site, folders):
    token = {"csrf": studio_site.keys.csrf, "bundle": 0}
    for content, sentence in ((archive(folders[0]), "The uploaded data set is balanced"), (b"x", "no zip archive")):
        answer = studio_site.organiser.post("/studio/balance", data=token, files={"data": ("x.zip", content)})
        assert answer.status_code == 422
        assert sentence in answer.text
    fields = {**token, "cell_type": "monocyte", "count": "10000000"}
    assert "fit into one file" in studio_site.organiser.post("/studio/balance/fill", data=fields).text


def test_a_walk(studio_site):
    page = studio_site.organiser.get("/studio/walk?cell_type=platelet&seed=96&to_seed=97")
    pictures = re.findall(r'src="(/studio/walk/[^"]+)"', page.text)
    assert len(pictures) == 18, "the shown one and the strip"
    assert studio_site.organiser.get(pictures[-1]).headers["content-type"] == "image/png"
    assert studio_site.organiser.get(pictures[0].replace("/0.png", "/99.png")).status_code == 404
    assert "seed is -1" in studio_site.organiser.get("/studio/walk?cell_type=platelet&seed=-1").text


def test_a_bundles_page_and_the_whole_card(studio_site):
    page = studio_site.organiser.get("/studio/bundle/0").text
    for wanted in ("<code>scg evaluate</code>", "learnt from", "/studio?bundle=0&amp;cell_type=neutrophil"):
        assert wanted in page, wanted
    assert studio_site.organiser.get("/studio/bundle/0/card.md").text.startswith("# pbc-256\n")
    assert studio_site.stranger.get("/studio/bundle/0/card.md").status_code == 403


def test_a_refusal_shows_the_ways_on_to_the_organiser_alone(site):
    assert 'href="/sessions"' in site.organiser.get("/nowhere").text
    assert 'href="/sessions"' not in site.stranger.get("/nowhere").text
    assert 'href="/sessions"' not in site.stranger.get("/").text
