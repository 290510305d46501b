"""The organiser's pages: make a session, invite readers, withdraw links, close, see and export results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Cookie, Depends, Form, HTTPException, Query, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.data.upload import unpacked
from syntheticcellgan.errors import InputError
from syntheticcellgan.review import overview, sessions
from syntheticcellgan.review.checklist import FEATURES, JUDGEMENTS
from syntheticcellgan.review.tables import REAL, SYNTHETIC, new_id
from syntheticcellgan.web.pages import form_page, problem
from syntheticcellgan.web.safety import COOKIE, same

public = APIRouter()


@public.get("/enter")
def enter(request: Request, token: str = "") -> Response:
    """The printed URL: leaves a cookie, so that the token does not stay in the address bar."""
    keys = request.app.state.room.keys
    if not same(token, keys.token):
        return problem(request, "This is not the address that the server printed; copy all of it.", 403)
    answer = RedirectResponse("/", 303)
    answer.set_cookie(COOKIE, keys.cookie, httponly=True, samesite="strict", secure=request.scope["scheme"] == "https")
    return answer


def check_organiser(request: Request, scg_organiser: Annotated[str | None, Cookie()] = None) -> None:
    if not same(scg_organiser, request.app.state.room.keys.cookie):
        raise HTTPException(403, "Open the address that the server printed; readers use their personal link.")


def check_form(request: Request, csrf: Annotated[str, Form()] = "") -> None:
    if not same(csrf, request.app.state.room.keys.csrf):
        raise HTTPException(403, "This form is from an earlier run of the server; open the page again.")


router = APIRouter(dependencies=[Depends(check_organiser)])
Checked = Depends(check_form)


@router.get("/")
def entrance(request: Request) -> HTMLResponse:
    """What there is to do, and what is being done."""
    room = request.app.state.room
    room.look_for_bundles()
    return form_page(request, "home.html", bundles=room.studio.names, running=room.work.jobs.running())


@router.get("/sessions")
def home(request: Request) -> HTMLResponse:
    return form_page(request, "sessions.html", sessions=overview.list_sessions(request.app.state.room.database))


@router.get("/sessions/new")
def new(
    request: Request,
    margin: Annotated[float, Query()] = 0.10,
    power: Annotated[float, Query()] = 0.80,
    readers: Annotated[int, Query()] = 4,
    correlation: Annotated[float, Query()] = 0.0,
) -> HTMLResponse:
    """The form, and above it the calculator of the sample size."""
    from syntheticcellgan.review.statistics import sample_size

    try:
        size: Any = sample_size(margin, power, readers=readers, correlation=correlation)
    except InputError as error:
        size = str(error)
    given = {"margin": margin, "power": power, "readers": readers, "correlation": correlation}
    return _new(request, given=given, size=size)


def _new(request: Request, status: int = 200, error: str = "", **values: Any) -> HTMLResponse:
    request.app.state.room.look_for_bundles()
    given = values.get("given") or {"margin": 0.10, "power": 0.80, "readers": 4, "correlation": 0.0}
    sources = list(enumerate(request.app.state.room.sources))
    return form_page(
        request,
        "new_session.html",
        status,
        error=error,
        given=given,
        size=values.get("size"),
        form=values.get("form") or {},
        real=[(i, s) for i, s in sources if s.truth == REAL],
        synthetic=[(i, s) for i, s in sources if s.truth == SYNTHETIC],
    )


@router.post("/sessions", dependencies=[Checked])
def create(
    request: Request,
    title: Annotated[str, Form()],
    real: Annotated[str, Form()] = "",
    synthetic: Annotated[str, Form()] = "",
    real_archive: UploadFile | None = None,
    synthetic_archive: UploadFile | None = None,
    cell_types: Annotated[str, Form()] = "",
    real_per_type: Annotated[int, Form()] = 10,
    synthetic_per_type: Annotated[int, Form()] = 10,
    repeated: Annotated[int, Form()] = 0,
    primed: Annotated[bool, Form()] = False,
    ask_type: Annotated[bool, Form()] = False,
    ask_checklist: Annotated[bool, Form()] = False,
    margin: Annotated[float, Form()] = 0.10,
) -> Response:
    """Make the session; what is wrong is said above the form, which keeps what was typed."""
    names = tuple(name.strip() for name in cell_types.split(",") if name.strip())
    settings = sessions.Settings(
        real_per_type=real_per_type,
        synthetic_per_type=synthetic_per_type,
        repeated=repeated,
        primed=primed,
        ask_type=ask_type,
        ask_checklist=ask_checklist,
        margin=margin,
        cell_types=names,
    )
    try:
        with ExitStack() as open_ones:
            real_ones, synthetic_ones = (
                open_ones.enter_context(_images(request, chosen, archive, truth, settings))
                for chosen, archive, truth in ((real, real_archive, REAL), (synthetic, synthetic_archive, SYNTHETIC))
            )
            made = sessions.create_session(request.app.state.room.database, title, real_ones, synthetic_ones, settings)
    except InputError as error:
        form = {"title": title, "cell_types": cell_types, **vars(settings), "real": real, "synthetic": synthetic}
        return _new(request, 422, str(error), form={**form, "cell_types": cell_types})
    return RedirectResponse(f"/sessions/{made}", 303)


@contextmanager
def _images(
    request: Request, chosen: str, archive: UploadFile | None, truth: str, settings: sessions.Settings
) -> Iterator[Manifest]:
    if archive is not None and archive.filename:
        with unpacked(archive.file) as manifest:
            yield manifest
        return
    listed = request.app.state.room.sources
    place = int(chosen) if chosen.isascii() and chosen.isdigit() and len(chosen) < 4 else -1
    if not 0 <= place < len(listed) or listed[place].truth != truth:
        raise InputError(f"Choose where the {truth} images come from, or upload an archive of them.")
    per_type = sum(settings.needed(truth).values())
    with listed[place].opened(per_type, settings.cell_types) as manifest:
        yield manifest


@router.get("/sessions/{session}")
def show(request: Request, session: str, link: str = "") -> HTMLResponse:
    room = request.app.state.room
    invitation = room.links.pop(link, None)
    base = room.public_url or str(request.base_url)
    return form_page(
        request,
        "session.html",
        session=overview.show_session(room.database, session),
        readers=overview.list_readers(room.database, session),
        invitation=invitation,
        address=f"{base.rstrip('/')}/read/{invitation.token}" if invitation else None,
    )


@router.post("/sessions/{session}/readers", dependencies=[Checked])
def invite(request: Request, session: str, label: Annotated[str, Form()] = "") -> RedirectResponse:
    return _told(request, session, sessions.invite_reader(request.app.state.room.database, session, label))


@router.post("/sessions/{session}/readers/{reader}/renew", dependencies=[Checked])
def renew(request: Request, session: str, reader: str) -> RedirectResponse:
    return _told(request, session, sessions.renew_link(request.app.state.room.database, session, reader))


def _told(request: Request, session: str, invitation: sessions.Invitation) -> RedirectResponse:
    links, once = request.app.state.room.links, new_id()
    links.clear()  # one link is told at a time
    links[once] = invitation
    return RedirectResponse(f"/sessions/{session}?link={once}", 303)


@router.post("/sessions/{session}/readers/{reader}/withdraw", dependencies=[Checked])
def withdraw(request: Request, session: str, reader: str) -> RedirectResponse:
    sessions.withdraw_link(request.app.state.room.database, session, reader)
    return RedirectResponse(f"/sessions/{session}", 303)


@router.post("/sessions/{session}/close", dependencies=[Checked])
def close(request: Request, session: str) -> RedirectResponse:
    sessions.close_session(request.app.state.room.database, session)
    return RedirectResponse(f"/sessions/{session}", 303)


@router.get("/sessions/{session}/results")
def results(request: Request, session: str) -> HTMLResponse:
    from syntheticcellgan.review.export import pictures_of
    from syntheticcellgan.review.results import read_results

    database = request.app.state.room.database
    found = read_results(database, session)
    pictures = pictures_of(database, found)
    return form_page(
        request, "results.html", results=found, pictures=pictures, features=FEATURES, judgements=JUDGEMENTS
    )


@router.get("/sessions/{session}/{name}")
def export(request: Request, session: str, name: str) -> Response:
    """judgements.csv, results.json or report.html, to be saved."""
    from syntheticcellgan.review import export as exporting
    from syntheticcellgan.review.results import read_results

    kinds = {"judgements.csv": "text/csv", "results.json": "application/json", "report.html": "text/html"}
    if name not in kinds:
        raise HTTPException(404)
    database = request.app.state.room.database
    found = read_results(database, session)
    if name == "judgements.csv":
        content = exporting.to_csv(found)
    elif name == "results.json":
        content = exporting.to_json(found)
    else:
        content = exporting.to_report(found, exporting.pictures_of(database, found))
    return Response(content, media_type=kinds[name], headers={"content-disposition": f'attachment; filename="{name}"'})
