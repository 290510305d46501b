"""How cells are made, as addresses and forms carry it: bundle, truncation, look. A new choice is a field of `Manner`, a
parameter here, and a line in templates/studio_manner.html.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Form, Request

from syntheticcellgan.studio import Manner, Studio


def studio_of(request: Request) -> Studio:
    studio: Studio = request.app.state.room.studio
    return studio


def studio_as_it_is_now(request: Request) -> Studio:
    """With bundles and looks that have come since; for pages, not for each picture."""
    request.app.state.room.look_for_bundles()
    request.app.state.room.look_for_looks()
    return studio_of(request)


def _from_address(bundle: int = 0, truncation: float = 1.0, look: str = "") -> Manner:
    return Manner(bundle, truncation, look)


def _from_form(
    bundle: Annotated[int, Form()] = 0, truncation: Annotated[float, Form()] = 1.0, look: Annotated[str, Form()] = ""
) -> Manner:
    return Manner(bundle, truncation, look)


InAddress = Annotated[Manner, Depends(_from_address)]
InForm = Annotated[Manner, Depends(_from_form)]


def query(manner: Manner) -> str:
    """What an address whose path names the bundle says of the rest, from the question mark on."""
    look = {"look": manner.look} if manner.look else {}
    return "?" + urlencode({"truncation": manner.truncation, **look})
