"""Trainings: begin one, look on, stop and resume it. Stopping and resuming serve evaluations as well."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Request, UploadFile
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from syntheticcellgan.errors import InputError
from syntheticcellgan.jobs.work_folder import Entry, WorkFolder
from syntheticcellgan.review.tables import REAL
from syntheticcellgan.web.organiser import check_form, check_organiser
from syntheticcellgan.web.pages import form_page

router = APIRouter(dependencies=[Depends(check_organiser)])
Checked = Depends(check_form)

GRID_SIDE = 1600


@dataclass(frozen=True)
class Choice:
    """One line of a select: what is sent back is compared with `key`; nothing that was sent becomes an argument."""

    key: str
    title: str
    arguments: tuple[str, ...]


def chosen(choices: Sequence[Choice], key: str, what: str) -> Choice:
    """The choice of this key. InputError if none."""
    found = next((choice for choice in choices if choice.key == key), None)
    if found is None:
        raise InputError(f"Choose {what}.")
    return found


def work_of(request: Request) -> WorkFolder:
    work: WorkFolder = request.app.state.room.work
    return work


def data_sets(request: Request) -> list[Choice]:
    """Folders of real cells that the server knows, and data sets that were sent."""
    room = request.app.state.room
    known = [
        Choice(f"source-{k}", source.title, (str(Path(source.place).absolute()),))
        for k, source in enumerate(room.sources)
        if source.truth == REAL
    ]
    return known + [Choice(path.name, f"Sent: {path.name}", (str(path),)) for path in room.work.uploads()]


def bundles(request: Request) -> list[Choice]:
    """Bundles of the studio."""
    room = request.app.state.room
    room.look_for_bundles()
    places = [str(Path(place).absolute()) if Path(place).exists() else place for place in room.studio.places]
    titles = room.studio.names
    return [Choice(f"bundle-{k}", titles[k], (place,)) for k, place in enumerate(places)]


@router.get("/runs")
def home(request: Request) -> HTMLResponse:
    work = work_of(request)
    return form_page(request, "runs.html", runs=work.runs(), running=work.jobs.running())


@router.get("/runs/new")
def new(request: Request) -> HTMLResponse:
    return _form(request)


def _form(request: Request, status: int = 200, error: str = "", **form: Any) -> HTMLResponse:
    values = {"data": data_sets(request), "bundles": bundles(request), "running": work_of(request).jobs.running()}
    return form_page(request, "new_run.html", status, error=error, form=form, **values)


@router.post("/runs", dependencies=[Checked])
def create(
    request: Request,
    title: Annotated[str, Form(max_length=100)],
    hours: Annotated[float, Form()] = 8.0,
    data: Annotated[str, Form()] = "",
    archive: UploadFile | None = None,
    start_from: Annotated[str, Form()] = "",
    licence: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Begin a training; what is wrong is said above the form."""
    work = work_of(request)
    try:
        title = one_line(title) or "My cells"
        if not 0 < hours <= 1000:
            raise InputError("The hours can be more than 0, and at most 1000.")
        start = chosen(bundles(request), start_from, "a bundle to begin with").arguments if start_from else ()
        if archive is not None and archive.filename:
            work.jobs.check_free()  # before a long upload is unpacked in vain
            place = str(work.keep(archive.file))
        else:
            (place,) = chosen(data_sets(request), data, "a data set, or send one").arguments
        options = [f"--hours={hours:g}", f"--name={title}"]
        options += [f"--licence={one_line(licence)}"] if one_line(licence) else []
        options += [f"--start-from={start[0]}"] if start else []
        job = work.jobs.start("training", title, lambda out: ["train", place, f"--out={out}", *options])
    except InputError as error:
        given = {"title": title, "hours": hours, "data": data, "start_from": start_from, "licence": licence}
        return _form(request, 422, str(error), **given)
    return RedirectResponse(f"/runs/{job.name}", 303)


def one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def entry_of(entries: Sequence[Entry], name: str) -> Entry:
    """The entry of this name, or there is no such page."""
    found = next((entry for entry in entries if entry.name == name), None)
    if found is None:
        raise HTTPException(404)
    return found


@router.get("/runs/{name}")
def look(request: Request, name: str) -> HTMLResponse:
    return _look(request, name, "run.html")


@router.get("/runs/{name}/state")
def state(request: Request, name: str) -> HTMLResponse:
    """What the page above puts in place of its middle every few seconds."""
    return _look(request, name, "run_state.html")


def _look(request: Request, name: str, template: str) -> HTMLResponse:
    from syntheticcellgan.jobs.training_progress import describe, is_training, read_progress

    room, work = request.app.state.room, work_of(request)
    entry = entry_of(work.runs(), name)
    begun = (entry.folder / "run.json").is_file()
    if begun:
        from syntheticcellgan.training.run_folder import read_run

        about = describe(read_run(entry.folder))
    room.look_for_bundles()
    number = room.studio.places.index(str(entry.bundle)) if entry.bundle else None
    return form_page(
        request,
        template,
        entry=entry,
        about=about if begun else "",
        stages=read_progress(entry.folder) if begun else [],
        elsewhere=entry.job is None and begun and is_training(entry.folder),
        said=work.jobs.said(name) if entry.job else [],
        bundle=number,
    )


@router.get("/runs/{name}/grid/{stage}/{file}")
def grid(request: Request, name: str, stage: str, file: str) -> Response:
    """The latest grid of samples of a stage, no larger than a screen; as it is if its name ends in png."""
    from syntheticcellgan.jobs.training_progress import read_progress

    entry = entry_of(work_of(request).runs(), name)
    if not (entry.folder / "run.json").is_file():
        raise HTTPException(404)
    found = next((s.grid for s in read_progress(entry.folder) if s.name == stage and s.grid is not None), None)
    if found is None or file not in (f"{found.stem}.jpg", found.name):
        raise HTTPException(404)
    if file == found.name:
        return FileResponse(found, media_type="image/png")
    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(found) as picture:
        small = picture.convert("RGB")
        small.thumbnail((GRID_SIDE, GRID_SIDE))
        small.save(buffer, "JPEG", quality=88)
    return Response(buffer.getvalue(), media_type="image/jpeg")


@router.post("/jobs/{name}/stop", dependencies=[Checked])
def stop(request: Request, name: str) -> RedirectResponse:
    return _then(request, name, "stop")


@router.post("/jobs/{name}/resume", dependencies=[Checked])
def resume(request: Request, name: str) -> RedirectResponse:
    return _then(request, name, "resume")


def _then(request: Request, name: str, what: str) -> RedirectResponse:
    jobs = work_of(request).jobs
    job = jobs.find(name)
    if job is None:
        raise HTTPException(404)
    (jobs.stop if what == "stop" else jobs.resume)(name)
    return RedirectResponse(f"/{'runs' if job.kind == 'training' else 'reports'}/{name}", 303)
