"""Results and exports of answers that are known, and the command `scg review` from making a session to its backup."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from datetime import datetime, timezone

import pytest
from tests.test_cli import run

from syntheticcellgan.review import reading, sessions
from syntheticcellgan.review.checklist import Answer
from syntheticcellgan.review.database import open_database
from syntheticcellgan.review.export import pictures_of, safe_cell, to_csv, to_json, to_report
from syntheticcellgan.review.judgements import Judgement, read_judgements
from syntheticcellgan.review.results import read_results, round_results
from syntheticcellgan.review.sessions import invite_reader


def judged(reader, image, truth, verdict, *, kind="monocyte", said=None, repeat=False, **more) -> Judgement:
    known = {"checklist": {}, "quality": None, "seconds": 2.0, "remark": "", "confidence": 2, "position": 1, **more}
    time = datetime(2025, 3, 1, tzinfo=timezone.utc)
    return Judgement(
        reader=reader,
        image=image,
        source=f"{image}.png",
        truth=truth,
        cell_type=kind,
        round=1,
        repeat=repeat,
        verdict=verdict,
        answered_type=said or kind,
        answered_at=time,
        changes=0,
        **known,
    )


def test_figures_of_one_round_by_hand():
    given = []
    for reader, wrong in (("A", 1), ("B", 4)):
        for i in range(10):
            given.append(judged(reader, f"s{i}", "synthetic", "real" if i < wrong else "synthetic", said="platelet"))
            given.append(judged(reader, f"r{i}", "real", "synthetic" if i < 2 else "real", quality=4))
    given += [judged("A", f"s{i}", "synthetic", "synthetic", repeat=True) for i in range(4)]
    found = round_results(given, 1, 0.1)
    assert (found.overall.accuracy.n, found.overall.accuracy.value) == (40, pytest.approx(31 / 40))
    assert found.overall.sensitivity.value == pytest.approx(15 / 20)
    assert found.overall.specificity.value == pytest.approx(16 / 20)
    assert [r.accuracy.value for r in found.by_reader] == pytest.approx([0.85, 0.7])
    assert found.types[0].real.value == 1.0
    assert found.types[0].synthetic.value == 0.0
    assert found.types[0].difference.value == -1.0
    # A and B agree on 17 of 20 images: table (real, synthetic) [[9, 0], [3, 8]].
    (pair,) = found.kappa_pairs
    expected = (9 * 12 + 11 * 8) / 400
    assert pair[2].value == pytest.approx((0.85 - (9 * 12 + 11 * 8) / 400) / (1 - expected))
    ((name, agreed, _),) = found.self_agreement
    assert (name, agreed.n, agreed.value) == ("A", 4, 0.75)
    assert found.unmasked[0].said_synthetic == 2
    assert {line.image for line in found.mistaken} == {"r0", "r1"}
    assert found.quality == {"real": (4.0, 20), "synthetic": None}
    assert found.overall.seconds == (2.0, 2.0, 2.0)


def test_no_answers_give_no_figures(database, session_id):
    results = read_results(database, session_id)
    assert json.loads(to_json(results))["rounds"][0]["overall"]["accuracy"]["value"] is None
    assert b"No answers yet" in to_report(results, {})


@pytest.fixture(scope="module")
def answered(tmp_path_factory, cells):
    """A database and the id of a session that three readers answered."""
    database = open_database(tmp_path_factory.mktemp("answered") / "room.sqlite")
    settings = sessions.Settings(real_per_type=3, synthetic_per_type=3, repeated=4)
    session_id = sessions.create_session(database, "Drawn", cells.real, cells.synthetic, settings, seed=1)
    for verdicts in (("real", "synthetic"), ("synthetic", "real"), ("synthetic", "synthetic")):
        reader = reading.sign_in(database, invite_reader(database, session_id, f"=cmd|{verdicts}<b>").token)
        for position in range(22):
            cell = reading.show_item(database, reader, 1, position)
            answer = Answer(
                verdicts[position % 2], 2, "monocyte", {"granules": "typical"}, 3, "  =HYPERLINK(1)<i>", 1.5
            )
            reading.save_answer(database, reader, cell.id, Answer("real"), "before")
            reading.save_answer(database, reader, cell.id, answer, "after")
    yield database, session_id
    database.close()


def test_csv_holds_every_judgement_and_no_formula(answered):
    lines = list(csv.DictReader(io.StringIO(to_csv(read_results(*answered)).decode("utf-8-sig"))))
    assert len(lines) == 66
    assert sum(line["repeat"] == "1" for line in lines) == 12
    assert lines[0]["changes"] == "1"
    for line in lines:
        assert line["reader"].startswith("'=cmd")
        assert line["remark"].startswith("'  =HYPERLINK")
        assert not any(value.lstrip(" ")[:1] in tuple("=+-@\t\r") for value in line.values())


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", " =1", "\r=1"])
def test_formulas_are_defused(text):
    assert safe_cell(text) == "'" + text


def test_plain_text_is_left_alone():
    assert safe_cell("a=b – 3") == "a=b – 3"


def test_report_is_complete_and_escaped(answered):
    results = read_results(*answered)
    page = to_report(results, pictures_of(answered[0], results)).decode()
    assert "<b>)" not in page.replace("&lt;b&gt;", "")
    assert "&lt;b&gt;" in page
    assert "data:image/jpeg;base64," in page
    assert "http" not in page.replace("http-equiv", ""), "nothing from elsewhere"
    figures = json.loads(to_json(results))
    overall = figures["rounds"][0]["overall"]["accuracy"]
    assert overall["n"] == 54
    assert f"{100 * overall['value']:.1f}\u00a0%" in page


def test_the_last_answer_before_closing_is_the_one_that_counts(answered):
    assert {j.remark for j in read_judgements(*answered)} == {"  =HYPERLINK(1)<i>"}


def test_scg_review_from_session_to_backup(cells, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SCG_DATABASE", str(tmp_path / "room.sqlite"))
    code, text = run("review", "list", capsys=capsys)
    assert code == 2
    assert "make a session first" in text
    folders = ["--real", str(cells.real.root), "--synthetic", str(cells.synthetic.root)]
    code, text = run("review", "new", "--title", "T", *folders, "--real-per-type", "3", capsys=capsys)
    assert code == 0, text
    made = text.strip().splitlines()[-1]
    code, text = run("review", "invite", made, "--label", "Ada", capsys=capsys)
    assert code == 0
    token = text.strip().rsplit("/", 1)[1]
    database = open_database(tmp_path / "room.sqlite")
    reader = reading.sign_in(database, token)
    reading.save_answer(database, reader, reading.show_item(database, reader, 1, 0).id, Answer("real", 1), "k")
    code, text = run("review", "list", capsys=capsys)
    assert "Ada: 1 of 39" in text
    for verb in (["close", made], ["withdraw", made, reader.reader_id], ["backup", str(tmp_path / "copy.sqlite")]):
        code, text = run("review", *verb, capsys=capsys)
        assert code == 0, text
    out = tmp_path / "out"
    code, text = run("review", "results", made, "--out", str(out), capsys=capsys)
    assert code == 0, text
    assert sorted(p.name for p in out.iterdir()) == ["judgements.csv", "report.html", "results.json"]
    code, text = run("review", "results", made, "--out", str(out), capsys=capsys)
    assert code == 2
    code, text = run("review", "sample-size", "--margin", "0.1", "--readers", "4", capsys=capsys)
    assert "57 images for each of 4" in text
    database.close()


def test_help_needs_none_of_it():
    code = (
        "import sys\nfrom syntheticcellgan.cli import main\n"
        "for line in (['--help'], ['review', '--help'], ['review', 'new', '--help']):\n"
        "    try: main(line)\n    except SystemExit: pass\n"
        "bad = {'sqlalchemy', 'alembic', 'statsmodels', 'fastapi', 'numpy'} & set(sys.modules)\nassert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
