"""Features kept between runs, one SQLite file per extractor: an interrupted evaluation goes on where it stopped."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from syntheticcellgan.errors import ScgError

_FORM = 1  # another number when an extractor or the resizing before it changes what it gives


class FeatureCache:
    """Vectors of one network by the content of the image; a context manager.

    A group of vectors is written whole or not at all, and several processes may use the file at once.
    """

    def __init__(self, folder: str | os.PathLike[str], name: str, sha256: str, dim: int) -> None:
        """folder: made if it is missing. name, sha256, dim: the extractor's. ScgError if the file cannot be used."""
        self._path = Path(folder) / f"features-{_FORM}-{name}-{sha256[:16]}.sqlite"
        self._dim = dim
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(self._path, timeout=60)
            with self._base:
                self._base.execute("CREATE TABLE IF NOT EXISTS features (image BLOB PRIMARY KEY, vector BLOB NOT NULL)")
        except (OSError, sqlite3.Error) as error:
            raise self._failure(error) from None

    def __enter__(self) -> FeatureCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()

    def get(self, image: bytes) -> np.ndarray | None:
        """The vector (dim,) float32 of the image with this SHA-256, or None."""
        try:
            row = self._base.execute("SELECT vector FROM features WHERE image = ?", (image,)).fetchone()
        except sqlite3.Error as error:
            raise self._failure(error) from None
        if row is None or len(row[0]) != 4 * self._dim:
            return None
        return np.frombuffer(row[0], np.float32)

    def put(self, images: Sequence[bytes], vectors: np.ndarray) -> None:
        """Keep the vectors (N, dim) float32 of N images."""
        rows = [(image, vector.astype(np.float32).tobytes()) for image, vector in zip(images, vectors, strict=True)]
        try:
            with self._base:
                self._base.executemany("INSERT OR REPLACE INTO features VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> ScgError:
        return ScgError(
            f"{self._path}: the cache of features cannot be used ({error}); delete the file or choose another."
        )
