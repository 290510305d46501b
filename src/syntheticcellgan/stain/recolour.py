"""From one laboratory's look to another's: one affine map of L*a*b* for all images of a laboratory.

    recolour = Recolouring(source, target)
    recolour(image) -> image                    # (H, W, 3) uint8, the same cell in the target's look

Background goes to background exactly, since both are (100, 0, 0) against their own white. The linear part M takes the
colours of nucleus, cytoplasm and red cells, as seen from the background, as near as it can to the target's:

    minimise  Σ ‖(x − w) M − (y − w)‖² + λ ‖M − s I‖²       x, y: region in source and target, w = (100, 0, 0)

s is the common factor of contrast. The ridge λ holds directions of colour that the three regions say nothing about
(three means span little more than a plane) at that factor. A map of colour alone, smooth and the same for every pixel,
cannot move an edge; and since it depends on no single crop, an eosinophil stays redder than its neighbour.
"""

from __future__ import annotations

import numpy as np

from syntheticcellgan.segmentation import background_colour
from syntheticcellgan.stain.colour import to_lab, to_rgb, white_point
from syntheticcellgan.stain.look import Look

_WHITE = np.array([100.0, 0.0, 0.0])
_RIDGE = 12.0**2  # squared units of L*a*b*: the error of a region's mean as a witness of its stain
_CONTRAST = (0.2, 4.0)  # no more is believed: beyond it, noise of the camera would be all that is seen


class Recolouring:
    """Between two looks. matrix: (3, 3), acts on rows of L*a*b* − (100, 0, 0)."""

    def __init__(self, source: Look, target: Look) -> None:
        self.source, self.target = source, target
        shared = [name for name in source.regions if name in target.regions]
        x = np.stack([source.regions[name] for name in shared]) - _WHITE
        y = np.stack([target.regions[name] for name in shared]) - _WHITE
        contrast = float(np.clip((x * y).sum() / max(float((x * x).sum()), 1e-6), *_CONTRAST))
        eye = np.eye(3)
        self.matrix = np.linalg.solve(x.T @ x + _RIDGE * eye, x.T @ y + _RIDGE * contrast * eye)

    @property
    def record(self) -> dict[str, object]:
        """From where to where, by names and ids."""
        return {name: [look.name, look.id] for name, look in (("from", self.source), ("to", self.target))}

    def __call__(
        self, image: np.ndarray, source_white: np.ndarray | None = None, target_white: np.ndarray | None = None
    ) -> np.ndarray:
        """`image`, (H, W, 3) uint8 of any size, in the look of the target.

        source_white: XYZ (3,) of its empty slide; else measured, and believed as far as the laboratory's lamps differ.
        target_white: XYZ (3,) that the empty slide gets; else the target's median.
        """
        if source_white is None:
            source_white = self.source.believed_white(white_point(background_colour(image)))
        lab = to_lab(image, source_white)
        moved = (lab - _WHITE.astype(np.float32)) @ self.matrix.astype(np.float32) + _WHITE.astype(np.float32)
        return to_rgb(moved, self.target.white if target_white is None else target_white)
