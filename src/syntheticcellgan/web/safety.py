"""What every request passes before a page is reached: known host, same origin, a body of bearable length, safe headers.

`Gate` is plain ASGI, so that it also guards static files and pages that do not exist, and counts bytes as they arrive.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FORM_LIMIT = 256 * 1024
UPLOAD_LIMIT = 1024 * 1024 * 1024
COOKIE = "scg_organiser"

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    # The secret of a personal link stands in its address and must not travel on. (With no-referrer, browsers would call
    # the origin of our own forms “null”.)
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_CHANGING = ("POST", "PUT", "PATCH", "DELETE")


class _TooLongError(Exception):
    pass


class Gate:
    """Refuses what comes by another name, from another site, or without end.

    hosts: values of the Host header that are ours. uploads: paths whose body may be `UPLOAD_LIMIT` long, if it comes with
    the cookie of `keys`: a body is read before any page asks who sends it.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], keys: Keys, uploads: Collection[str] = ()) -> None:
        self.app, self.hosts, self.uploads = app, frozenset(h.lower() for h in hosts), frozenset(uploads)
        self.keys = keys

    def _limit(self, scope: Scope, headers: Headers) -> int:
        if scope["path"] not in self.uploads:
            return FORM_LIMIT
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        return UPLOAD_LIMIT if same(cookie.value if cookie else None, self.keys.cookie) else FORM_LIMIT

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return  # no page of ours talks through a web socket
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, _with_headers(scope, send))
            return
        limit = self._limit(scope, headers)
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        guarded = _with_headers(scope, noted)
        try:
            await self.app(scope, _counted(receive, limit), guarded)
        except _TooLongError:
            if not started:
                sentence = f"More than {limit // 1024:,} kB were sent; the most is {limit // 1024:,} kB."
                await PlainTextResponse(sentence, 413, {"connection": "close"})(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "").lower()
        if host not in self.hosts:
            return PlainTextResponse("This server does not answer to that name; use the address that it printed.", 421)
        if not scope["query_string"].isascii() or not scope["path"].startswith("/"):
            return PlainTextResponse("This is no address that a browser would send.", 400)
        if scope["method"] not in _CHANGING:
            return None
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if (origin is not None and urlsplit(origin).netloc.lower() != host) or site in ("cross-site", "same-site"):
            return PlainTextResponse("Refused: this was sent from another site.", 403)
        length = headers.get("content-length", "0")
        limit = self._limit(scope, headers)
        if not length.isascii() or not length.isdigit() or int(length) > limit:
            return PlainTextResponse(f"Too long; the most is {limit // 1024:,} kB.", 413, {"connection": "close"})
        return None


def _counted(receive: Receive, limit: int) -> Receive:
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > limit:
            raise _TooLongError
        return message

    return counted


def _with_headers(scope: Scope, send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)  # a page may be kept apart more strictly
            static = scope["path"].startswith("/static/")
            headers["cache-control"] = "no-cache" if static else "no-store"
        await send(message)

    return guarded


class Keys:
    """The organiser's secrets of one run of the server, all made from the token in the printed URL."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token or secrets.token_urlsafe(24)

    def _made(self, purpose: str) -> str:
        return hmac.new(self.token.encode(), purpose.encode(), hashlib.sha256).hexdigest()

    @property
    def cookie(self) -> str:
        """Value of the cookie that the printed URL leaves in the browser."""
        return self._made("cookie")

    @property
    def csrf(self) -> str:
        """What every form of the organiser carries and no other site can know."""
        return self._made("csrf")


def same(given: str | None, expected: str) -> bool:
    """Whether two secrets are the same, in a time that does not tell where they differ."""
    return given is not None and hmac.compare_digest(given.encode(), expected.encode())
