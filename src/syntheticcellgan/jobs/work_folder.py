"""What lies in a work folder: runs, their bundles, reports, uploaded data sets, looks of laboratories; made in the browser or
on the command line.

Nothing is found by a name that someone typed: names are compared with those of the sub-folders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.jobs.records import Job, Jobs

if TYPE_CHECKING:
    from syntheticcellgan.stain.look import Look

DATA, LOOKS = "data", "looks"


@dataclass(frozen=True)
class Entry:
    """A sub-folder with a run or a report, and the job that made it, if it was started here."""

    name: str
    folder: Path
    job: Job | None = None

    @property
    def title(self) -> str:
        return self.job.title if self.job else self.name

    @property
    def bundle(self) -> Path | None:
        """Of a finished training."""
        place = self.folder / "bundle"
        return place if (place / "config.json").is_file() else None


class WorkFolder:
    """One folder and its jobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.jobs = Jobs(folder)
        self._read: dict[Path, tuple[int, Look]] = {}

    def runs(self) -> list[Entry]:
        """Trainings, newest first; also those that have not written anything yet."""
        return self._entries("training", lambda folder: (folder / "run.json").is_file())

    def reports(self) -> list[Entry]:
        """Evaluations, newest first; those that are not finished have no report.json yet."""
        return self._entries("evaluation", lambda folder: (folder / "report.json").is_file())

    def uploads(self) -> list[Path]:
        """Data sets that were sent."""
        return sorted((p for p in self._folders() if p.name.startswith(f"{DATA}-")), reverse=True)

    def keep(self, archive: IO[bytes]) -> Path:
        """An uploaded zip as a data set of this folder; InputError as `data.upload.unpacked`."""
        from syntheticcellgan.data.upload import keep_upload

        folder = self.jobs.new_folder(DATA)
        keep_upload(archive, folder)
        return folder

    def looks(self) -> dict[Path, Look]:
        """The files of looks in the sub-folder `looks`, by name; what is none, or damaged, is passed over."""
        found: dict[Path, Look] = {}
        for path in sorted((self.folder / LOOKS).glob("*.json")):
            try:
                changed = path.stat().st_mtime_ns
                kept = self._read.get(path)
                if kept is None or kept[0] != changed:
                    from syntheticcellgan.stain.look import read_look  # slow to import, and most folders hold no look

                    kept = self._read[path] = changed, read_look(path)
                found[path] = kept[1]
            except (InputError, OSError):
                continue
        return found

    def keep_look(self, look: Look) -> None:
        """Among the looks of this folder; the same numbers once. ScgError if it cannot be written."""
        self.forget_look(look.id)
        look.write(self.folder / LOOKS / f"{look.id}.json")

    def forget_look(self, look_id: str) -> None:
        """Delete its files. ScgError if they cannot be."""
        for path, look in self.looks().items():
            if look.id == look_id:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    raise ScgError(f"{path} cannot be deleted ({error.strerror}).") from error

    def _folders(self) -> list[Path]:
        try:
            return [path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        except OSError as error:
            raise InputError(f"{self.folder} cannot be looked into ({error.strerror}).") from error

    def _entries(self, kind: str, holds: Callable[[Path], bool]) -> list[Entry]:
        jobs = {job.name: job for job in self.jobs.all() if job.kind == kind}
        folders = {path.name: path for path in self._folders() if path.name in jobs or holds(path)}
        entries = [Entry(name, self.folder / name, jobs.get(name)) for name in {**jobs, **folders}]
        return sorted(entries, key=_age)


def _age(entry: Entry) -> float:
    if entry.job is not None:
        return -entry.job.began
    return -entry.folder.stat().st_mtime if entry.folder.exists() else 0.0
