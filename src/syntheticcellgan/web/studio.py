"""The studio's pages: choose, see cells as they are made, keep, reject, download; walk between two; balance a data set."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request, UploadFile
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from syntheticcellgan.data.upload import unpacked
from syntheticcellgan.errors import InputError
from syntheticcellgan.studio import MOST_FILLED, WALK, Manner, Studio
from syntheticcellgan.web.manner import InAddress, InForm, query, studio_as_it_is_now, studio_of
from syntheticcellgan.web.organiser import check_form, check_organiser
from syntheticcellgan.web.pages import form_page, page

MOST_SHOWN = 64

router = APIRouter(prefix="/studio", dependencies=[Depends(check_organiser)])

Seed = Annotated[int, Query()]


def _page(
    request: Request, template: str, studio: Studio, manner: Manner, status: int = 200, **values: Any
) -> HTMLResponse:
    """A page on which the manner of making is shown or chosen."""
    return form_page(
        request,
        template,
        status,
        manner=manner,
        query=query(manner),
        names=studio.names,
        looks={look.id: look.name for look in studio.looks.values()},
        **values,
    )


@router.get("")
def choose(request: Request, manner: InAddress, cell_type: str = "", count: int = 16, seed: Seed = 0) -> HTMLResponse:
    """The form and, below it, the cells, each of which the browser fetches by itself."""
    from syntheticcellgan.pipeline import check_seeds

    studio = studio_as_it_is_now(request)
    chain = studio.chain(manner.bundle)
    error, seeds = "", []
    try:
        studio.check(manner)
        name = chain.find_type(cell_type) if cell_type else chain.cell_types[0]
        if not 1 <= count <= MOST_SHOWN:
            raise InputError(f"The count can be 1 to {MOST_SHOWN}; for more, use scg generate.")
        check_seeds(seed, count)
        studio.check_features(manner, name)
        seeds = list(range(seed, seed + count)) if cell_type else []
    except InputError as problem:
        name, error = chain.cell_types[0], str(problem)
    given = {"cell_type": name, "count": count, "seed": seed}
    values: dict[str, Any] = {
        "types": chain.cell_types,
        "given": given,
        "seeds": seeds,
        "error": error,
        "most": MOST_SHOWN,
        "features": studio.features(manner.bundle),
    }
    return _page(request, "studio.html", studio, manner, 422 if error else 200, **values)


@router.get("/picture/{bundle}/{cell_type}/{seed}.png")
def picture(request: Request, manner: InAddress, cell_type: str, seed: int) -> Response:
    """The file that `scg generate` would write."""
    return Response(studio_of(request).picture(manner, cell_type, seed), media_type="image/png")


@router.get("/cell/{bundle}/{cell_type}/{seed}")
def cell(request: Request, manner: InAddress, cell_type: str, seed: int) -> HTMLResponse:
    """One cell at native scale, with what is known about it."""
    studio = studio_as_it_is_now(request)
    found = studio.look_into(manner, cell_type, seed)
    basic = "data:image/png;base64," + base64.b64encode(found.basic).decode()
    files = request.app.state.room.work.looks().items()
    look_file = next((str(path) for path, look in files if look.id == manner.look), "")
    given = {"cell_type": cell_type, "seed": seed}
    types = studio.chain(manner.bundle).cell_types
    values: dict[str, Any] = {"found": found, "basic": basic, "types": types, "look_file": look_file}
    values["read"] = studio.cell(manner, cell_type, seed).predicted
    return _page(request, "studio_cell.html", studio, manner, given=given, **values)


@router.get("/walk")
def walk(
    request: Request,
    manner: InAddress,
    cell_type: str = "",
    seed: Seed = 0,
    to_type: str = "",
    to_seed: Seed = 1,
) -> HTMLResponse:
    """From one cell to another by a slider; the pictures are made when the browser asks for them."""
    from syntheticcellgan.pipeline import check_seeds

    studio, error = studio_as_it_is_now(request), ""
    chain = studio.chain(manner.bundle)
    ends = [chain.cell_types[0]] * 2
    try:
        studio.check(manner)
        ends = [chain.find_type(name) if name else chain.cell_types[0] for name in (cell_type, to_type or cell_type)]
        check_seeds(min(seed, to_seed))
        check_seeds(max(seed, to_seed))
    except InputError as problem:
        error = str(problem)
    given = {"cell_type": ends[0], "seed": seed, "to_type": ends[1], "to_seed": to_seed}
    steps = range(WALK) if cell_type and not error else ()
    values: dict[str, Any] = {"types": chain.cell_types, "given": given, "steps": steps, "error": error}
    return _page(request, "studio_walk.html", studio, manner, 422 if error else 200, **values)


@router.get("/walk/{bundle}/{cell_type}/{seed}/{to_type}/{to_seed}/{step}.png")
def walk_picture(
    request: Request, manner: InAddress, cell_type: str, seed: int, to_type: str, to_seed: int, step: int
) -> Response:
    if not 0 <= step < WALK:
        raise HTTPException(404)
    files = studio_of(request).walk(manner, (cell_type, seed), (to_type, to_seed))
    return Response(files[step], media_type="image/png")


@router.post("/pack", dependencies=[Depends(check_form)])
def pack(
    request: Request,
    manner: InForm,
    cell_type: Annotated[str, Form()],
    keep: Annotated[list[int] | None, Form()] = None,
) -> Response:
    """The kept cells as a labelled zip."""
    content = studio_of(request).pack(manner, [(cell_type, seed) for seed in keep or []])
    return Response(content, media_type="application/zip", headers=_saved("cells.zip"))


@router.get("/balance")
def balance(request: Request, manner: InAddress) -> HTMLResponse:
    """The form: a bundle, and a data set to be filled up."""
    return _balance(request, manner)


def _balance(request: Request, manner: Manner, status: int = 200, **values: Any) -> HTMLResponse:
    values = {"error": "", "counts": None, "missing": {}, "most": MOST_FILLED, **values}
    return _page(request, "studio_balance.html", studio_as_it_is_now(request), manner, status, **values)


@router.post("/balance", dependencies=[Depends(check_form)])
def look_at_upload(request: Request, manner: InForm, data: UploadFile) -> HTMLResponse:
    """Count what was sent, keep nothing of it, and propose what is missing."""
    from syntheticcellgan.writer import balance

    chain = studio_of(request).chain(manner.bundle)
    try:
        with unpacked(data.file) as manifest:
            try:
                missing = {r.cell_type: r.count for r in balance(manifest, chain.cell_types)}
            except InputError as problem:
                raise InputError(str(problem).replace(str(manifest.root), "The uploaded data set")) from None
            return _balance(request, manner, counts=manifest.counts, missing=missing, known=chain.cell_types)
    except InputError as problem:
        return _balance(request, manner, 422, error=str(problem))


@router.post("/balance/fill", dependencies=[Depends(check_form)])
def fill_up(
    request: Request,
    manner: InForm,
    cell_type: Annotated[list[str], Form()],
    count: Annotated[list[int], Form()],
    seed: Annotated[int, Form()] = 0,
) -> Response:
    """The missing cells as a zip, sent while they are made."""
    from syntheticcellgan.writer import Request as Wanted

    if len(cell_type) != len(count):
        raise HTTPException(422, "Each type needs a count.")
    wanted = [Wanted(name, n, seed) for name, n in zip(cell_type, count, strict=True)]
    pieces = studio_of(request).fill_up(manner, wanted)
    return StreamingResponse(pieces, media_type="application/zip", headers=_saved("extra-cells.zip"))


def _saved(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"'}


@router.get("/bundle/{bundle}")
def show_bundle(request: Request, bundle: int) -> HTMLResponse:
    """The card."""
    studio = studio_of(request)
    card: dict[str, Any] = studio.card(bundle)
    return page("bundle.html", card=card, bundle=bundle, made_by=studio.chain(bundle).bundle)


@router.get("/bundle/{bundle}/card.md")
def whole_card(request: Request, bundle: int) -> Response:
    """The card as text, all of it."""
    from syntheticcellgan.card import render_card

    return Response(render_card(studio_of(request).card(bundle)), media_type="text/plain; charset=utf-8")


@router.get("/bundle/{bundle}/samples.png")
def samples(request: Request, bundle: int) -> Response:
    content = studio_of(request).samples(bundle)
    if content is None:
        raise HTTPException(404)
    return Response(content, media_type="image/png")
