"""Looks of laboratories in the studio: send images or a file, see which there are, forget one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from syntheticcellgan.errors import InputError
from syntheticcellgan.web.manner import studio_as_it_is_now
from syntheticcellgan.web.organiser import check_form, check_organiser
from syntheticcellgan.web.pages import form_page

router = APIRouter(prefix="/studio/looks", dependencies=[Depends(check_organiser)])
Checked = Depends(check_form)


@router.get("")
def home(request: Request) -> HTMLResponse:
    return _page(request)


def _page(request: Request, status: int = 200, **values: Any) -> HTMLResponse:
    from syntheticcellgan.stain.page import swatches

    looks = [(look, swatches(look)) for look in studio_as_it_is_now(request).looks.values()]
    values = {"error": "", "name": "", **values}
    return form_page(request, "studio_looks.html", status, looks=looks, **values)


@router.post("", dependencies=[Checked])
def send(
    request: Request, name: Annotated[str, Form(max_length=100)] = "", images: list[UploadFile] | None = None
) -> Response:
    """Fit a look on what was sent, of which nothing else is kept, and choose it."""
    from syntheticcellgan.stain.sources import look_of_upload

    sent = [(file.filename, file.file) for file in images or [] if file.filename]
    try:
        look = look_of_upload(sent, name)
    except InputError as problem:
        return _page(request, 422, error=str(problem), name=name)
    request.app.state.room.work.keep_look(look)
    return RedirectResponse(f"/studio?look={look.id}", 303)


@router.post("/{look}/forget", dependencies=[Checked])
def forget(request: Request, look: str) -> Response:
    if look not in studio_as_it_is_now(request).looks:
        raise HTTPException(404)
    request.app.state.room.work.forget_look(look)
    return RedirectResponse("/studio/looks", 303)
