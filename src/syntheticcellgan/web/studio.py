"""The studio's pages: choose a bundle, a type and numbers; see the cells as they are made; keep, reject, download."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response

from syntheticcellgan.errors import InputError
from syntheticcellgan.studio import Studio
from syntheticcellgan.web.organiser import check_form, check_organiser
from syntheticcellgan.web.pages import page

MOST_SHOWN = 64

router = APIRouter(prefix="/studio", dependencies=[Depends(check_organiser)])

Seed = Annotated[int, Query()]
Truncation = Annotated[float, Query()]


def _studio(request: Request) -> Studio:
    studio: Studio = request.app.state.room.studio
    return studio


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

    studio = _studio(request)
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
    return page("studio_cell.html", found=found, basic=basic, given=given, name=studio.names[bundle])


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
    headers = {"content-disposition": 'attachment; filename="cells.zip"'}
    return Response(content, media_type="application/zip", headers=headers)


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
