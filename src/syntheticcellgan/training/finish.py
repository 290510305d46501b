"""From a finished run to a bundle with its card."""

from __future__ import annotations
