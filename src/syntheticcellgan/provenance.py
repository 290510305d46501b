"""What every written image says of itself: that it is synthetic, and how to make it again."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from syntheticcellgan import __version__
from syntheticcellgan.errors import InputError

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC digital source type: made by a trained model."""

SOFTWARE = f"syntheticcellgan {__version__}"
FORMATS = {"png": ".png", "jpeg": ".jpg", "tiff": ".tif"}
_XMP_TAG, _DESCRIPTION_TAG, _SOFTWARE_TAG = 700, 270, 305


@dataclass(frozen=True)
class Provenance:
    """Everything that determined an image.

    style, style_id: name and id of the laboratory's look that it was given. wanted: the features that it was to show;
    candidate: the number of the seed's candidate that was chosen for them; predicted: what was read from it. precision: in
    which the translator multiplied, if not float32. engine: what computed the networks, with its version, if not PyTorch.
    """

    bundle: str
    bundle_id: str
    cell_type: str
    seed: int
    truncation: float
    software: str = SOFTWARE
    synthetic: bool = True
    style: str | None = None
    style_id: str | None = None
    wanted: Mapping[str, str] | None = None
    candidate: int | None = None
    predicted: Mapping[str, str] | None = None
    precision: str | None = None
    engine: str | None = None

    @property
    def json(self) -> str:
        """One line of JSON; without a style or a wish, nothing is said of one."""
        return json.dumps({name: value for name, value in asdict(self).items() if value is not None})


def _xmp(record: str) -> bytes:
    """XMP packet with the IPTC digital source type; the record stands in dc:description."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType><dc:description><rdf:Alt>"
        f'<rdf:li xml:lang="x-default">{escape(record)}</rdf:li></rdf:Alt></dc:description>'
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def encode_sheet(sheet: Image.Image, record: Mapping[str, object], compress_level: int = 1) -> bytes:
    """A PNG of many synthetic cells; `record` says what they have in common. Level 1 is quickest, 9 smallest."""
    said = {**record, "software": SOFTWARE, "synthetic": True}
    return _png(sheet, json.dumps(said), compress_level)


def encode_animation(frames: Sequence[Image.Image], ending: str, delay: int, record: Mapping[str, object]) -> bytes:
    """An animated .gif, .webp or .apng, endless, `delay` milliseconds per frame; `record` as in `encode_sheet`."""
    said = json.dumps({**record, "software": SOFTWARE, "synthetic": True})
    buffer, rest = io.BytesIO(), list(frames[1:])
    if ending == ".apng":
        frames[0].save(buffer, "PNG", save_all=True, append_images=rest, duration=delay, loop=0, pnginfo=_text(said))
    elif ending == ".webp":
        frames[0].save(
            buffer, "WEBP", save_all=True, append_images=rest, duration=delay, loop=0, quality=90, xmp=_xmp(said)
        )
    else:
        frames[0].save(buffer, "GIF", save_all=True, append_images=rest, duration=delay, loop=0, comment=said.encode())
    return buffer.getvalue()


def _text(record: str) -> PngInfo:
    info = PngInfo()
    info.add_text("Description", record)
    info.add_text("Software", SOFTWARE)
    info.add_itxt("XML:com.adobe.xmp", _xmp(record).decode())
    return info


def _png(picture: Image.Image, record: str, compress_level: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=_text(record), compress_level=compress_level)
    return buffer.getvalue()


def encode(image: np.ndarray, image_format: str, provenance: Provenance) -> bytes:
    """The file's bytes: (H, W, 3) uint8 as png, jpeg (quality 95) or tiff, with its provenance inside."""
    picture, buffer = Image.fromarray(image), io.BytesIO()
    if image_format == "png":
        # Level 1 takes a quarter of the time of the default and a few per cent more space.
        return _png(picture, provenance.json, compress_level=1)
    if image_format == "jpeg":
        # An application segment of its own: Pillow before 11 has no option for XMP.
        segment = b"http://ns.adobe.com/xap/1.0/\0" + _xmp(provenance.json)
        extra = b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
        picture.save(buffer, "JPEG", quality=95, subsampling=0, extra=extra, comment=provenance.json.encode())
    else:
        tags = ImageFileDirectory_v2()
        tags[_DESCRIPTION_TAG], tags[_SOFTWARE_TAG] = provenance.json, provenance.software
        tags[_XMP_TAG] = _xmp(provenance.json)
        tags.tagtype[_XMP_TAG] = 1
        picture.save(buffer, "TIFF", compression="tiff_deflate", tiffinfo=tags)
    return buffer.getvalue()


def read_provenance(path: str | Path) -> Provenance:
    """Read back what `encode` wrote.

    Raises:
        InputError: the file is no image, or none of ours.
    """
    try:
        with Image.open(path, formats=("PNG", "JPEG", "TIFF")) as image:
            text: Any = image.info.get("Description") or image.info.get("comment")
            if isinstance(image, TiffImageFile):
                text = image.tag_v2.get(_DESCRIPTION_TAG)
        values = json.loads(text)
        return Provenance(**values)
    except (OSError, ValueError, TypeError, SyntaxError, RecursionError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} carries no record of how it was made.") from error
