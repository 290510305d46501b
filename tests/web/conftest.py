"""The application over a temporary reading room, and a client that talks to it without a network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from tests.conftest import DRAWN_TYPES, draw_cell
from tests.evaluation.drawn_study import LEAST, Blocks, draw_set

from syntheticcellgan.cli import main
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.review.database import Database, open_database
from syntheticcellgan.review.sessions import Settings, create_session, invite_reader
from syntheticcellgan.review.sources import Source
from syntheticcellgan.web.app import create_app
from syntheticcellgan.web.safety import Keys

HOST = "127.0.0.1:8642"


@dataclass
class Site:
    """organiser: a client with the organiser's cookie; stranger: one without. token: a reader's."""

    database: Database
    keys: Keys
    organiser: TestClient
    stranger: TestClient
    session: str = ""
    token: str = ""
    sources: list[Source] = field(default_factory=list)

    def post(self, path: str, **fields: object) -> object:
        return self.organiser.post(path, data={"csrf": self.keys.csrf, **fields}, follow_redirects=False)

    def item(self, position: int, token: str | None = None) -> str:
        """Id of the item that a reader's page shows."""
        text = self.stranger.get(f"/read/{token or self.token}/cell/1/{position}").text
        found = re.search(r'name="item" value="([^"]+)"', text)
        assert found is not None, text
        return found[1]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of real and synthetic drawn cells, six of each of three types."""
    made = []
    for truth in ("real", "synthetic"):
        root = tmp_path_factory.mktemp(f"web-{truth}")
        rng = np.random.default_rng(len(truth))
        for name, (radius, nucleus) in DRAWN_TYPES.items():
            (root / name).mkdir()
            for i in range(6):
                draw_cell(radius, nucleus, rng).save(root / name / f"{i}.png")
        made.append(root)
    return made[0], made[1]


def open_site(place: Path, folders: tuple[Path, Path], **options: object) -> Site:
    """The application over an empty reading room in `place`."""
    database = open_database(place / "room.sqlite")
    sources = [Source("Real", "real", folders[0]), Source("Synthetic", "synthetic", folders[1])]
    keys = Keys()
    app = create_app(database, sources, {HOST}, keys, **options)
    clients = [TestClient(app, base_url=f"http://{HOST}", raise_server_exceptions=False) for _ in range(2)]
    clients[0].get(f"/enter?token={keys.token}")
    return Site(database, keys, *clients, sources=sources)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, folders: tuple[Path, Path]) -> Iterator[Site]:
    """With one session, and a reader of it."""
    made = open_site(tmp_path_factory.mktemp("site"), folders)
    manifests = read_manifest(folders[0]), read_manifest(folders[1])
    made.session = create_session(made.database, "Drawn", *manifests, Settings(2, 2, repeated=2), seed=1)
    made.token = invite_reader(made.database, made.session).token
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def studio_site(tmp_path_factory: pytest.TempPathFactory, folders: tuple[Path, Path]) -> Iterator[Site]:
    """With the shipped bundle."""
    made = open_site(tmp_path_factory.mktemp("studio"), folders, bundles=["pbc-256"])
    yield made
    made.database.close()


@pytest.fixture(scope="session")
def work(tmp_path_factory) -> Path:
    """A work folder with what was made on the command line: a run and a report."""
    from syntheticcellgan.evaluation import study as studies
    from syntheticcellgan.evaluation.context import Settings

    root = tmp_path_factory.mktemp("work")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    tiny = {
        "generator": {"width": 16, "resolution": 32, "latent_size": 8},
        "translator": {"width": 8, "blocks": 1},
        "autoencoder": {"kimg": 0.016, "batch": 4},
        "low_resolution": {"kimg": 0.016, "batch": 4},
        "translation": {"kimg": 0.016, "paired_kimg": 0.008, "batch": 4, "crop": 64},
        "refinement": {"kimg": 0.008, "batch": 4, "crop": 64, "compared": 8, "remembered": 2},
    }
    (elsewhere / "tiny.json").write_text(json.dumps(tiny))
    real, made, train = (draw_set(elsewhere / name, k) for k, name in enumerate(("real", "made <b>here", "train")))
    main(["train", str(train), "--out", str(root / "my run"), "--config", str(elsewhere / "tiny.json"), "--threads=1"])
    patch = pytest.MonkeyPatch()
    patch.setattr(studies, "HEADLINE", ("vit-s-focus",))
    patch.setattr(studies, "get_extractor", lambda name, path=None: Blocks())
    settings = Settings(count=34, quick=True, utility=LEAST, sections=("duplicates",))
    studies.evaluate(real, made, settings=settings, out=root / "my report", cache=elsewhere / "cache")
    patch.undo()
    return root
