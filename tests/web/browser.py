"""A real server in a process of its own, and a headless Chromium to visit it; skips with a sentence without one."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`scg serve` on one port; can be killed and started again."""

    def __init__(self, *arguments: str) -> None:
        self.port = free_port()
        self.arguments = arguments
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "syntheticcellgan", "serve", "--port", str(self.port), *self.arguments]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            found = re.search(r"http://\S+/enter\?token=\S+", line)
            if found:
                self.address = found[0]
                break
        else:
            raise AssertionError(said)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)

    def kill(self) -> None:
        """As a power cut would: no time to finish anything."""
        self.process.kill()
        self.process.wait()


@contextmanager
def serving(*arguments: str) -> Iterator[Server]:
    server = Server(*arguments)
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def chromium() -> Iterator[object]:
    """A playwright browser."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium here; Debian's package chromium has it")
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        plain = browser.new_context

        def patient(**options: object) -> object:
            context = plain(**options)
            context.set_default_timeout(120_000)  # a busy machine is no fault of the pages
            return context

        browser.new_context = patient
        browser.new_page = lambda **options: patient(**options).new_page()
        try:
            yield browser
        finally:
            browser.close()


def no_overflow(page) -> bool:
    """Whether nothing sticks out sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def images_shown(page) -> bool:
    return bool(page.evaluate("[...document.images].every((i) => i.complete && i.naturalWidth > 0)"))
