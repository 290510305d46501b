"""The page and the comparison: whole, escaped, offline, with pictures, and honest about what is not comparable."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.evaluation.drawn_study import LEAST, Blocks, draw_set

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation import study as studies
from syntheticcellgan.evaluation.context import Settings
from syntheticcellgan.evaluation.report.card_figures import card_figures
from syntheticcellgan.evaluation.report.comparison import compare
from syntheticcellgan.evaluation.report.page import render
from syntheticcellgan.evaluation.report.pictures import Pictures
from syntheticcellgan.evaluation.report.store import Report, read_report, write_report

VOID = {"meta", "img", "br", "link", "input", "use", "path", "rect", "line"}


class Balanced(HTMLParser):
    """Tags that are opened and closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """The report of drawn cells, every section of it."""
    root = tmp_path_factory.mktemp("report")
    patch = pytest.MonkeyPatch()
    patch.setattr(studies, "HEADLINE", ("vit-s-focus",))
    patch.setattr(studies, "get_extractor", lambda name, path=None: Blocks())
    settings = Settings(count=34, quick=True, utility=LEAST)
    folders = [draw_set(root / name, seed) for seed, name in enumerate(("real", "made <b>here", "train"))]
    table = root / "attributes.csv"
    table.write_text(
        "img_name,shape\n" + "".join(f"train-{i:02d}.png,{'round' if i % 2 else 'oval'}\n" for i in range(34))
    )
    studies.evaluate(
        *folders[:2], train=folders[2], attributes=table, settings=settings, out=root / "out", cache=root / "cache"
    )
    patch.undo()
    return root / "out"


def test_the_page_is_whole_and_needs_no_network(written):
    page = (written / "report.html").read_text()
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert len(set(parser.ids)) == len(parser.ids)
    outside = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert outside
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in outside)
    assert set(re.findall(r"https?://[^\s\"<]*", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    for anchor in (
        "summary",
        "cells",
        "fidelity",
        "copies",
        "morphology",
        "stain",
        "attributes",
        "utility",
        "probe",
        "map",
        "how",
    ):
        assert f'id="{anchor}"' in page


def test_names_are_escaped(written):
    page = (written / "report.html").read_text()
    assert "made &lt;b&gt;here" in page
    assert "<b>here" not in page


def test_every_pair_and_sample_is_a_picture(written):
    page = (written / "report.html").read_text()
    report = read_report(written)
    pairs = sum(len(report.sections[name].details["closest"]) for name in ("copies", "duplicates"))
    assert page.count('src="data:image') == 2 * 8 * 3 + 2 * pairs


def test_a_report_of_one_section_is_a_page_as_well(written):
    report = read_report(written)
    for name in ("copies", "duplicates", "morphology", "stain", "probe"):
        only = Report({**report.content, "sections": {name: report.content["sections"][name]}})
        pair = ("data:image/jpeg;base64,AA==", None)
        page = render(
            only,
            Pictures({"lymphocyte": ((), ()), "monocyte": ((), ()), "platelet": ((), ())}, (pair,) * 10, (pair,) * 10),
        )
        assert "How it was measured" in page


def test_the_look_of_synthetic_cells_stands_in_the_report_and_among_the_cards_figures(written):
    report = read_report(written)
    rows = {row.measure: row for row in report.sections["stain"].rows}
    assert rows["look_difference_nucleus"].value < 3  # drawn with the same colours
    assert rows["look_difference_nucleus"].low <= rows["look_difference_nucleus"].value
    assert rows["look_diameter"].floor == 1
    assert list(report.sections["stain"].details["sentences"]) == ["synthetic"]
    names = [figure["name"] for figure in card_figures(report)["figures"]]
    assert any(name.startswith("Difference of look from real cells, nucleus (CIEDE2000)") for name in names)


def test_the_page_names_types_learnt_from_few_images_and_features_that_can_be_asked_for(written):
    content = read_report(written).content
    about = {"name": "b", "id": "1", "adapted": {"hairy_cell": 40}, "features": ["cell_size"]}
    shown = Pictures({"lymphocyte": ((), ()), "monocyte": ((), ()), "platelet": ((), ())}, (), ())
    for bundle, there in ((about, True), ({"name": "b", "id": "1"}, False)):  # reports of before say nothing of it
        page = render(Report({**content, "inputs": {**content["inputs"], "bundle": bundle}, "sections": {}}), shown)
        assert ("added by <code>scg adapt</code> from 40 images" in page) is there
        assert ("The bundle knows cell size" in page) is there


def test_comparison_sets_reports_side_by_side(written, tmp_path):
    report = read_report(written)
    other = {**report.content, "name": "other"}
    rows = other["sections"]["distribution"]["rows"]
    better = [
        {**row, **{k: row[k] / 50 for k in ("value", "low", "high") if row["measure"].startswith("relative")}}
        for row in rows
    ]
    other["sections"] = {**other["sections"], "distribution": {**other["sections"]["distribution"], "rows": better}}
    write_report(Report(other), tmp_path / "other")
    names = compare([written, tmp_path / "other"], tmp_path / "out")
    assert names == ("made <b>here", "other")
    lines = list(csv.reader(io.StringIO((tmp_path / "out" / "comparison.csv").read_text())))
    assert len(lines) == 1 + len(report.rows)
    assert lines[0][5].endswith(": value")
    page = (tmp_path / "out" / "comparison.html").read_text()
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    best = report.row("relative_frechet_distance").value / 50
    assert f"<td><b>{best:.3g}</b>" in page
    assert "Not all is comparable" not in page


def test_comparison_says_what_is_not_comparable(written, tmp_path):
    report = read_report(written)
    inputs = report.content["inputs"]
    sets = {**inputs["sets"], "real": {**inputs["sets"]["real"], "digest": "another"}}
    write_report(Report({**report.content, "inputs": {**inputs, "sets": sets}}), tmp_path / "other")
    assert compare([written, tmp_path / "other"], tmp_path / "out") == (
        "made <b>here (out)",
        "made <b>here (other)",
    )
    assert "different real images" in (tmp_path / "out" / "comparison.html").read_text()


def test_comparison_refuses(written, tmp_path):
    with pytest.raises(InputError, match="at least two reports"):
        compare([written], tmp_path / "out")
    with pytest.raises(InputError, match="cannot be read"):
        compare([written, tmp_path / "nothing"], tmp_path / "out")
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        compare([written, written], tmp_path)


def test_rows_are_frozen_and_know_no_nan():
    from syntheticcellgan.evaluation.report.rows import Row

    row = Row("a", "b", value=float("nan"), low=float("inf"))
    assert row.value is None
    assert row.low is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        row.value = 1.0


def test_the_chief_figures_go_onto_a_card(written, tmp_path):
    import shutil

    from syntheticcellgan.bundle import find_bundle, verify_bundle
    from syntheticcellgan.evaluation.report.card_figures import check_can_be_carded, put_on_card

    report = read_report(written)
    bundle = tmp_path / "bundle"
    shutil.copytree(find_bundle("pbc-256"), bundle)
    put_on_card(report, str(bundle))
    metrics = verify_bundle(bundle).card["metrics"]
    assert len(metrics["figures"]) == len(report.content["headline"])
    assert "scg evaluate --quick" in metrics["statement"]
    assert "Balanced accuracy" in (bundle / "card.md").read_text()
    with pytest.raises(InputError, match="give --bundle"):
        check_can_be_carded(None)
