"""Evaluations: begin one, look on, read its report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Request, UploadFile
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from syntheticcellgan.errors import InputError
from syntheticcellgan.jobs.work_folder import Entry
from syntheticcellgan.review.tables import SYNTHETIC
from syntheticcellgan.web.organiser import check_organiser
from syntheticcellgan.web.pages import form_page
from syntheticcellgan.web.runs import (
    Checked,
    Choice,
    bundles,
    chosen,
    data_sets,
    entry_of,
    one_line,
    work_of,
)

router = APIRouter(prefix="/reports", dependencies=[Depends(check_organiser)])

_STEP = re.compile(r"(.+): (\d+) of (\d+)(?:, (\d+) s left)?")

APART = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""The policy of a whole report, which carries its own styles: it runs no script, belongs to no origin, reaches nothing."""


@router.get("")
def home(request: Request) -> HTMLResponse:
    work = work_of(request)
    return form_page(request, "reports.html", reports=work.reports(), running=work.jobs.running())


@router.get("/new")
def new(request: Request) -> HTMLResponse:
    return _form(request)


def judged(request: Request) -> list[Choice]:
    """Bundles, and folders of synthetic cells."""
    made = [Choice(b.key, f"Cells of {b.title}", (f"--bundle={b.arguments[0]}",)) for b in bundles(request)]
    sources = enumerate(request.app.state.room.sources)
    return made + [
        Choice(f"source-{k}", s.title, (f"--synthetic={Path(s.place).absolute()}",))
        for k, s in sources
        if s.truth == SYNTHETIC and not s.is_bundle
    ]


def compared(request: Request) -> list[Choice]:
    """Real cells: those that a run has held out, and data sets that no training has seen."""
    from syntheticcellgan.training.run_folder import read_run

    held_out = []
    for entry in work_of(request).runs():
        split = entry.folder / "split.json"
        if not split.is_file():
            continue
        try:
            data = Path(read_run(entry.folder).data).absolute()
        except InputError:
            continue  # damaged: no choice
        if data.is_dir():
            held_out.append(
                Choice(f"run-{entry.name}", f"Held out by {entry.title}", (f"--real={data}", f"--split={split}"))
            )
    return held_out + [Choice(c.key, c.title, (f"--real={c.arguments[0]}",)) for c in data_sets(request)]


def _form(request: Request, status: int = 200, error: str = "", **form: Any) -> HTMLResponse:
    values = {"judged": judged(request), "real": compared(request), "running": work_of(request).jobs.running()}
    return form_page(request, "new_report.html", status, error=error, form=form, **values)


@router.post("", dependencies=[Checked])
def create(
    request: Request,
    title: Annotated[str, Form(max_length=100)] = "",
    what: Annotated[str, Form()] = "",
    real: Annotated[str, Form()] = "",
    archive: UploadFile | None = None,
    quick: Annotated[bool, Form()] = False,
) -> Response:
    """Begin an evaluation; what is wrong is said above the form."""
    work = work_of(request)
    try:
        cells = chosen(judged(request), what, "what is judged")
        if archive is not None and archive.filename:
            work.jobs.check_free()  # before a long upload is unpacked in vain
            real_cells: tuple[str, ...] = (f"--real={work.keep(archive.file)}",)
        else:
            real_cells = chosen(compared(request), real, "real cells, or send them").arguments
        arguments = ["evaluate", *cells.arguments, *real_cells, *(["--quick"] if quick else [])]
        name = one_line(title) or cells.title
        job = work.jobs.start("evaluation", name, lambda out: [*arguments, f"--out={out}"])
    except InputError as error:
        return _form(request, 422, str(error), title=title, what=what, real=real, quick=quick)
    return RedirectResponse(f"/reports/{job.name}", 303)


@router.get("/{name}")
def look(request: Request, name: str) -> HTMLResponse:
    return _look(request, name, "report.html")


@router.get("/{name}/state")
def state(request: Request, name: str) -> HTMLResponse:
    """What the page above puts in place of its middle every few seconds."""
    return _look(request, name, "report_state.html")


def _look(request: Request, name: str, template: str) -> HTMLResponse:
    work = work_of(request)
    entry = entry_of(work.reports(), name)
    said = work.jobs.said(name) if entry.job else []
    return form_page(request, template, entry=entry, said=said, step=_step(said), report=_report(entry))


def _step(said: Sequence[str]) -> tuple[str, int, int, int | None] | None:
    """What a running evaluation is at: what, how many of how many, seconds left of this step."""
    found = [match for line in said if (match := _STEP.fullmatch(line))]
    if not found:
        return None
    what, done, total, left = found[-1].groups()
    return what, int(done), int(total), None if left is None else int(left)


def _report(entry: Entry) -> dict[str, Any] | None:
    """What the page shows of a finished report."""
    if not (entry.folder / "report.json").is_file():
        return None
    from syntheticcellgan.evaluation.report.rows import Row
    from syntheticcellgan.evaluation.report.store import read_report
    from syntheticcellgan.evaluation.report.titles import ANSWERS, USES, figure_title, interval, number, shown

    content = read_report(entry.folder).content
    rows = [Row(**row) for row in content["headline"]]
    return {
        "content": content,
        "verdicts": [(USES[v["use"]], ANSWERS[v["answer"]], v["reasons"]) for v in content["verdicts"]],
        "figures": [
            (figure_title(row), number(value), interval(low, high), number(floor), row.n)
            for row in rows
            for value, low, high, floor in [shown(row)]
        ],
        "whole": (entry.folder / "report.html").is_file(),
    }


@router.get("/{name}/{file}")
def whole(request: Request, name: str, file: str) -> Response:
    """The report as `scg evaluate` wrote it: a page that is kept apart from ours, and the table."""
    kinds = {"report.html": "text/html", "metrics.csv": "text/csv"}
    entry = entry_of(work_of(request).reports(), name)
    known = {path.name: path for path in entry.folder.glob("*.*") if path.is_file()}
    if file not in kinds or file not in known:
        raise HTTPException(404)
    headers = {"content-security-policy": APART} if file == "report.html" else {}
    disposition = {} if file == "report.html" else {"content-disposition": f'attachment; filename="{file}"'}
    return FileResponse(known[file], media_type=kinds[file], headers=headers | disposition)
