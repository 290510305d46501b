"""The two kinds of error that a user meets; the command line turns each into one sentence and an exit code.

Both carry a sentence that names the file or option at fault and the mend.
"""

from __future__ import annotations


class ScgError(Exception):
    """Something failed on the way (disk full, training diverged …). Exit code 1."""

    exit_code = 1


class InputError(ScgError, ValueError):
    """What the user gave cannot be used as it is (option, folder, image, bundle). Exit code 2."""

    exit_code = 2
