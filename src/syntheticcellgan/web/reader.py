"""The reader's pages. Everything lies below the personal link, and each request asks anew whether it still holds."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from syntheticcellgan.review import reading
from syntheticcellgan.review.checklist import CONFIDENCE, FEATURES, JUDGEMENTS, QUALITY, UNKNOWN_TYPE, Answer
from syntheticcellgan.review.tables import new_id
from syntheticcellgan.web.pages import page

router = APIRouter(prefix="/read/{token}")

_RESERVED = "rsbnz"  # real, synthetic, back, next, zoom


def _reader(request: Request, token: str) -> reading.SignedIn:
    return reading.sign_in(request.app.state.room.database, token)


SignedIn = Annotated[reading.SignedIn, Depends(_reader)]


@router.get("")
def start(request: Request, token: str, reader: SignedIn) -> HTMLResponse:
    """Welcome, how far, and what is next."""
    progress = reading.progress(request.app.state.room.database, reader)
    position = progress.next_open(reader.round)
    return page(
        "reader_start.html",
        token=token,
        reader=reader,
        done=progress.done[reader.round],
        next=None if position is None else position + 1,
        types=reading.type_titles(reader.settings),
    )


@router.get("/cell/{number}/{position}")
def show_cell(request: Request, token: str, reader: SignedIn, number: int, position: int) -> HTMLResponse:
    """One cell with its questions; position from 1."""
    database = request.app.state.room.database
    cell = reading.show_item(database, reader, number, position - 1)
    done = reading.progress(database, reader).done[number]
    types = {**reading.type_titles(reader.settings), UNKNOWN_TYPE: "not recognisable"}
    return page(
        "reader_cell.html",
        token=token,
        reader=reader,
        cell=cell,
        answer=cell.answer,
        position=position,
        total=len(done),
        answered=sum(done),
        frozen=number != reader.round,
        confidence=CONFIDENCE,
        types=types,
        keys=type_keys(types),
        features=FEATURES,
        judgements=JUDGEMENTS,
        quality=QUALITY,
        key=new_id(),
    )


@router.post("/cell/{number}/{position}")
async def answer_cell(request: Request, token: str, number: int, position: int) -> Response:
    """Keep the answer; to the script "kept", without the script on to the next cell or back."""
    from starlette.concurrency import run_in_threadpool

    form = await request.form(max_files=0, max_fields=40)
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    return await run_in_threadpool(_keep, request, token, number, position, fields)


def _keep(request: Request, token: str, number: int, position: int, fields: dict[str, str]) -> Response:
    database = request.app.state.room.database
    reader = reading.sign_in(database, token)
    reading.save_answer(database, reader, fields.get("item", ""), answer_of(fields), fields.get("key", ""))
    if "scripted" in fields:
        return Response(status_code=204)
    if fields.get("go") == "back" and position > 1:
        return RedirectResponse(f"/read/{token}/cell/{number}/{position - 1}", 303)
    following = position + 1 if position < len(reading.progress(database, reader).done.get(number, [])) else None
    return RedirectResponse(f"/read/{token}/cell/{number}/{following}" if following else f"/read/{token}", 303)


@router.get("/picture/{item}")
def picture(request: Request, reader: SignedIn, item: str) -> Response:
    return _jpeg(reading.picture(request.app.state.room.database, reader, item))


@router.post("/examples")
def open_examples(request: Request, token: str, reader: SignedIn, sure: Annotated[str, Form()]) -> RedirectResponse:
    """End the first round; the button says what that means."""
    reading.open_primer(request.app.state.room.database, reader)
    return RedirectResponse(f"/read/{token}/examples", 303)


@router.get("/examples")
def examples(request: Request, token: str, reader: SignedIn) -> HTMLResponse:
    shown = reading.examples(request.app.state.room.database, reader)
    by_type: dict[str, list[Any]] = {}
    for example in shown:
        by_type.setdefault(example.cell_type, []).append(example)
    return page("reader_examples.html", token=token, reader=reader, by_type=by_type)


@router.get("/example/{image}")
def example_picture(request: Request, reader: SignedIn, image: str) -> Response:
    return _jpeg(reading.example_picture(request.app.state.room.database, reader, image))


def _jpeg(content: bytes) -> Response:
    return Response(content, media_type="image/jpeg")


def answer_of(fields: dict[str, str]) -> Answer:
    """The form's fields as an answer; what is no number becomes a value that `check_answer` refuses."""
    return Answer(
        verdict=fields.get("verdict") or None,
        confidence=_whole(fields.get("confidence")),
        cell_type=fields.get("cell_type") or None,
        checklist={name: fields[f"feature-{name}"] for name in FEATURES if fields.get(f"feature-{name}")},
        quality=_whole(fields.get("quality")),
        remark=fields.get("remark", "").replace("\r\n", "\n").strip(),
        seconds=_number(fields.get("seconds")),
    )


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return -1.0


def _whole(text: str | None) -> int | None:
    return None if not text else int(text) if text.isascii() and text.isdigit() and len(text) < 4 else -1


def type_keys(types: dict[str, str]) -> dict[str, str]:
    """A key for each type: the first free letter of its title, else any free letter."""
    keys: dict[str, str] = {}
    for name, title in types.items():
        letters = [c for c in title.lower() if "a" <= c <= "z"] + list("abcdefghijklmnopqrstuvwxyz")
        free = [c for c in letters if c not in _RESERVED and c not in keys.values()]
        keys[name] = free[0] if free else ""
    return keys
