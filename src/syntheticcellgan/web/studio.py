"""The studio's pages: choose, see cells as they are made, keep, reject, download; walk between two; balance a data set."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request, UploadFile
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from syntheticcellgan.data.upload import unpacked
from syntheticcellgan.errors import InputError
from syntheticcellgan.studio import MOST_FILLED, WALK, Studio
from syntheticcellgan.web.organiser import check_form, check_organiser
from syntheticcellgan.web.pages import page

MOST_SHOWN = 64

router = APIRouter(prefix="/studio", dependencies=[Depends(check_organiser)])

Seed = Annotated[int, Query()]
Truncation = Annotated[float, Query()]


def _studio(request: Request) -> Studio:
    studio: Studio = request.app.state.room.studio
    return studio


def _with_new_bundles(request: Request) -> Studio:
    request.app.state.room.look_for_bundles()
    return _studio(request)


@router.get("")
def choose(
    request: Request,
    bundle: int = 0,
    cell_type: str = "",
    count: int = 16,
    seed: Seed = 0,
    truncation: Truncation = 1.0,
) -> HTMLResponse:
    """The form and, below it, the cells, each of which the browser fetches by itself."""
    from syntheticcellgan.pipeline import check_seeds, check_truncation

    studio = _with_new_bundles(request)
    chain = studio.chain(bundle)
    error, seeds = "", []
    try:
        name = chain.find_type(cell_type) if cell_type else chain.cell_types[0]
        if not 1 <= count <= MOST_SHOWN:
            raise InputError(f"The count can be 1 to {MOST_SHOWN}; for more, use scg generate.")
        check_seeds(seed, count)
        check_truncation(truncation)
        seeds = list(range(seed, seed + count)) if cell_type else []
    except InputError as problem:
        name, error = chain.cell_types[0], str(problem)
    given = {"bundle": bundle, "cell_type": name, "count": count, "seed": seed, "truncation": truncation}
    return page(
        "studio.html",
        422 if error else 200,
        names=studio.names,
        types=chain.cell_types,
        given=given,
        seeds=seeds,
        error=error,
        most=MOST_SHOWN,
        csrf=request.app.state.room.keys.csrf,
    )


@router.get("/picture/{bundle}/{cell_type}/{seed}.png")
def picture(request: Request, bundle: int, cell_type: str, seed: int, truncation: Truncation = 1.0) -> Response:
    """The file that `scg generate` would write."""
    return Response(_studio(request).picture(bundle, cell_type, seed, truncation), media_type="image/png")


@router.get("/cell/{bundle}/{cell_type}/{seed}")
def cell(request: Request, bundle: int, cell_type: str, seed: int, truncation: Truncation = 1.0) -> HTMLResponse:
    """One cell at native scale, with what is known about it."""
    studio = _studio(request)
    found = studio.look_into(bundle, cell_type, seed, truncation)
    basic = "data:image/png;base64," + base64.b64encode(found.basic).decode()
    given = {"bundle": bundle, "cell_type": cell_type, "count": 16, "seed": seed, "truncation": truncation}
    types = studio.chain(bundle).cell_types
    return page("studio_cell.html", found=found, basic=basic, given=given, name=studio.names[bundle], types=types)


@router.get("/walk")
def walk(
    request: Request,
    bundle: int = 0,
    cell_type: str = "",
    seed: Seed = 0,
    to_type: str = "",
    to_seed: Annotated[int, Query()] = 1,
    truncation: Truncation = 1.0,
) -> HTMLResponse:
    """From one cell to another by a slider; the pictures are made when the browser asks for them."""
    from syntheticcellgan.pipeline import check_seeds, check_truncation

    studio, error = _with_new_bundles(request), ""
    chain = studio.chain(bundle)
    ends = [chain.cell_types[0]] * 2
    try:
        ends = [chain.find_type(name) if name else chain.cell_types[0] for name in (cell_type, to_type or cell_type)]
        check_seeds(min(seed, to_seed))
        check_seeds(max(seed, to_seed))
        check_truncation(truncation)
    except InputError as problem:
        error = str(problem)
    given = {"bundle": bundle, "cell_type": ends[0], "seed": seed, "to_type": ends[1], "to_seed": to_seed}
    return page(
        "studio_walk.html",
        422 if error else 200,
        names=studio.names,
        types=chain.cell_types,
        given={**given, "truncation": truncation},
        steps=range(WALK) if cell_type and not error else (),
        error=error,
    )


@router.get("/walk/{bundle}/{cell_type}/{seed}/{to_type}/{to_seed}/{step}.png")
def walk_picture(
    request: Request,
    bundle: int,
    cell_type: str,
    seed: int,
    to_type: str,
    to_seed: int,
    step: int,
    truncation: Truncation = 1.0,
) -> Response:
    if not 0 <= step < WALK:
        raise HTTPException(404)
    files = _studio(request).walk(bundle, (cell_type, seed), (to_type, to_seed), truncation)
    return Response(files[step], media_type="image/png")


@router.post("/pack", dependencies=[Depends(check_form)])
def pack(
    request: Request,
    bundle: Annotated[int, Form()],
    cell_type: Annotated[str, Form()],
    truncation: Annotated[float, Form()],
    keep: Annotated[list[int] | None, Form()] = None,
) -> Response:
    """The kept cells as a labelled zip."""
    content = _studio(request).pack(bundle, [(cell_type, seed) for seed in keep or []], truncation)
    return Response(content, media_type="application/zip", headers=_saved("cells.zip"))


@router.get("/balance")
def balance(request: Request, bundle: int = 0) -> HTMLResponse:
    """The form: a bundle, and a data set to be filled up."""
    return _balance(request, bundle)


def _balance(request: Request, bundle: int, status: int = 200, **values: Any) -> HTMLResponse:
    studio = _with_new_bundles(request)
    values = {"error": "", "counts": None, "missing": {}, **values}
    csrf = request.app.state.room.keys.csrf
    return page("studio_balance.html", status, names=studio.names, bundle=bundle, most=MOST_FILLED, csrf=csrf, **values)


@router.post("/balance", dependencies=[Depends(check_form)])
def look_at_upload(request: Request, data: UploadFile, bundle: Annotated[int, Form()] = 0) -> HTMLResponse:
    """Count what was sent, keep nothing of it, and propose what is missing."""
    from syntheticcellgan.writer import balance

    chain = _studio(request).chain(bundle)
    try:
        with unpacked(data.file) as manifest:
            try:
                missing = {r.cell_type: r.count for r in balance(manifest, chain.cell_types)}
            except InputError as problem:
                raise InputError(str(problem).replace(str(manifest.root), "The uploaded data set")) from None
            return _balance(request, bundle, counts=manifest.counts, missing=missing, known=chain.cell_types)
    except InputError as problem:
        return _balance(request, bundle, 422, error=str(problem))


@router.post("/balance/fill", dependencies=[Depends(check_form)])
def fill_up(
    request: Request,
    bundle: Annotated[int, Form()],
    cell_type: Annotated[list[str], Form()],
    count: Annotated[list[int], Form()],
    seed: Annotated[int, Form()] = 0,
    truncation: Annotated[float, Form()] = 1.0,
) -> Response:
    """The missing cells as a zip, sent while they are made."""
    from syntheticcellgan.writer import Request as Wanted

    if len(cell_type) != len(count):
        raise HTTPException(422, "Each type needs a count.")
    wanted = [Wanted(name, n, seed) for name, n in zip(cell_type, count, strict=True)]
    pieces = _studio(request).fill_up(bundle, wanted, truncation)
    return StreamingResponse(pieces, media_type="application/zip", headers=_saved("extra-cells.zip"))


def _saved(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"'}


@router.get("/bundle/{bundle}")
def show_bundle(request: Request, bundle: int) -> HTMLResponse:
    """The card."""
    studio = _studio(request)
    card: dict[str, Any] = studio.card(bundle)
    return page("bundle.html", card=card, bundle=bundle, made_by=studio.chain(bundle).bundle)


@router.get("/bundle/{bundle}/samples.png")
def samples(request: Request, bundle: int) -> Response:
    content = _studio(request).samples(bundle)
    if content is None:
        raise HTTPException(404)
    return Response(content, media_type="image/png")
