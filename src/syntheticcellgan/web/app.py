"""The local web application: the studio and the reading room. No logic of its own; pages over the API of everyone else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.jobs.work_folder import WorkFolder
from syntheticcellgan.review.database import Database
from syntheticcellgan.review.reading import Closed, NotFound
from syntheticcellgan.review.sessions import Invitation
from syntheticcellgan.review.sources import Source
from syntheticcellgan.review.tables import SYNTHETIC
from syntheticcellgan.studio import Studio
from syntheticcellgan.web import looks, organiser, reader, reports, runs, studio
from syntheticcellgan.web.pages import STATIC, problem
from syntheticcellgan.web.safety import Gate, Keys


@dataclass
class Room:
    """What all pages share. links: invitations whose personal link was not shown yet, by a number used once."""

    database: Database
    sources: list[Source]
    keys: Keys
    studio: Studio
    work: WorkFolder
    public_url: str | None = None
    links: dict[str, Invitation] = field(default_factory=dict)

    def look_for_bundles(self) -> None:
        """Offer the bundles of finished trainings as well, in the studio and for reading sessions."""
        for entry in self.work.runs():
            place = str(entry.bundle) if entry.bundle else ""
            if place and place not in self.studio.places:
                self.studio.offer(place, entry.title)
                self.sources.append(Source(f"Made now by {entry.title}", SYNTHETIC, place, True))

    def look_for_looks(self) -> None:
        """Offer the looks of the work folder in the studio."""
        self.studio.offer_looks(list(self.work.looks().values()))


def create_app(
    database: Database,
    sources: Sequence[Source],
    hosts: Collection[str],
    keys: Keys,
    bundles: Sequence[str] = (),
    public_url: str | None = None,
    folder: Path = Path(),
) -> FastAPI:
    """The application.

    folder: where runs, reports and uploaded data lie. bundles: of the studio, folders, zips or shipped names. hosts:
    values of the Host header that it answers to (name and port). public_url: how readers reach it, for their links; None
    for the address by which the organiser came.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=_few_threads)
    app.state.room = Room(database, list(sources), keys, Studio(bundles), WorkFolder(folder), public_url)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.include_router(reader.router)
    app.include_router(organiser.public)
    app.include_router(organiser.router)
    for pages in (looks, studio, runs, reports):
        app.include_router(pages.router)
    app.add_exception_handler(ScgError, _said)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(Exception, _failed)
    uploads = ("/sessions", "/studio/balance", "/studio/looks", "/runs", "/reports")
    app.add_middleware(Gate, hosts=hosts, keys=keys, uploads=uploads)
    return app


@asynccontextmanager
async def _few_threads(app: FastAPI) -> AsyncIterator[None]:
    """More threads than these only take turns at the interpreter: with 40, answers wait longer than with 12."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = 12
    yield


def _said(request: Request, error: Exception) -> HTMLResponse:
    kinds = ((NotFound, 404), (Closed, 409), (InputError, 422))
    return problem(request, str(error), next((status for kind, status in kinds if isinstance(error, kind)), 500))


def _refused(request: Request, error: Exception) -> HTMLResponse:
    assert isinstance(error, HTTPException)
    sentences = {404: "There is no such page.", 405: "This page cannot be used in that way."}
    return problem(request, sentences.get(error.status_code, str(error.detail)), error.status_code)


def _not_understood(request: Request, error: Exception) -> HTMLResponse:
    return problem(request, "What was sent is not what this page asks for; go back and try again.", 422)


def _failed(request: Request, error: Exception) -> HTMLResponse:
    return problem(request, "The server failed at this; what was kept before is safe. Its log says more.", 500)
