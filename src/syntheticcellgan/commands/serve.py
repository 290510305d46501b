"""`scg serve`: the studio and the reading room in the browser."""

from __future__ import annotations

import ipaddress
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import click

from syntheticcellgan.commands.review import database_option, open_place
from syntheticcellgan.errors import InputError, ScgError

BUNDLE = "pbc-256"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others can come in by it.")
@click.option("--port", type=click.IntRange(0, 65535), default=8642, show_default=True, help="0: any free one.")
@click.option("--real", type=click.Path(path_type=Path), multiple=True, help="Folder of real cells; may be repeated.")
@click.option("--synthetic", type=click.Path(path_type=Path), multiple=True, help="Folder of synthetic cells.")
@click.option("--bundle", "bundles", multiple=True, default=(BUNDLE,), show_default=True, help="May be repeated.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    show_default=True,
    help="Where runs, reports and uploaded data lie.",
)
@click.option("--public-url", help="How readers reach this server, such as https://pc17.clinic.example:8642.")
@click.option("--certificate", type=click.Path(path_type=Path, exists=True), help="PEM file, for https.")
@click.option("--key", type=click.Path(path_type=Path, exists=True), help="Private key of the certificate.")
@database_option
def serve(
    host: str,
    port: int,
    real: tuple[Path, ...],
    synthetic: tuple[Path, ...],
    bundles: tuple[str, ...],
    folder: Path,
    public_url: str | None,
    certificate: Path | None,
    key: Path | None,
    place: str,
) -> None:
    """Serve the application until Ctrl-C; prints the organiser's address."""
    try:
        import uvicorn

        from syntheticcellgan.review.sources import known_sources
        from syntheticcellgan.web.app import create_app
        from syntheticcellgan.web.safety import Keys
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is missing; this needs: pip install 'syntheticcellgan[web]'.") from None
    if public_url is not None and urlsplit(public_url).scheme not in ("http", "https"):
        raise InputError("--public-url needs http:// or https:// and a name, such as https://pc17.clinic.example:8642.")
    if host in ("0.0.0.0", "::") and public_url is None:
        raise InputError(f"With --host {host}, say by --public-url under which name readers reach this server.")
    scheme = "https" if certificate else "http"
    folder.mkdir(parents=True, exist_ok=True)
    listener = _listen(host, port)
    port = listener.getsockname()[1]
    sources = known_sources(list(real), list(synthetic), list(bundles))
    database = open_place(place, create=True)
    keys = Keys()
    app = create_app(database, sources, _hosts(host, port, public_url), keys, bundles, public_url, folder)
    # The networks are loaded while the page is opened.
    threading.Thread(target=app.state.room.studio.warm_up, daemon=True).start()
    shown = host if host not in ("0.0.0.0", "::") else "127.0.0.1"
    shown = f"[{shown}]" if ":" in shown else shown
    click.echo(f"The reading room is {database.place}. Open this address (it lets in whoever has it; Ctrl-C ends):")
    click.echo(f"{scheme}://{shown}:{port}/enter?token={keys.token}")
    if not _is_loopback(host) and not certificate:
        click.echo(
            "Others can reach this server and read what is sent: use --certificate and --key, or a proxy with TLS."
        )
    again = app.state.room.work.jobs.resume_broken_off()
    if again is not None:
        click.echo(f"“{again.title}” was broken off, and now goes on.")
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # personal links stand in the addresses
        server_header=False,
        proxy_headers=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_keep_alive=30,
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        database.close()
        job = app.state.room.work.jobs.running()
        if job is not None:
            click.echo(f"“{job.title}” goes on without the server; start the server again to look on or to stop it.")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Named as TCP, so that answers go out at once: asyncio switches Nagle off for no other socket.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(256)
    except OSError as error:
        raise ScgError(f"{host}:{port} cannot be used ({error.strerror}); choose another --port or --host.") from error
    return listener


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hosts(host: str, port: int, public_url: str | None) -> set[str]:
    """The Host headers that are ours."""
    names = {"127.0.0.1", "localhost", "[::1]", f"[{host}]" if ":" in host else host}
    hosts = {f"{name}:{port}" for name in names - {"0.0.0.0", "[::]"}}
    return hosts | ({urlsplit(public_url).netloc} if public_url else set())
