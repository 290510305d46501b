"""Every image says that it is synthetic and how to make it again, in a form that other software reads."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from syntheticcellgan.errors import InputError
from syntheticcellgan.provenance import FORMATS, Provenance, encode, encode_sheet, read_provenance

RECORD = Provenance("pbc-256", "0123456789abcdef", "monocyte", 2**63 - 1, 0.7)
ODD = Provenance("a <b> & “c” ]]>", "0" * 16, "célula_plasmática", 1, 1.0)
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def xmp_of(content: bytes) -> ElementTree.Element:
    """The XMP packet where readers of metadata look for it."""
    with Image.open(io.BytesIO(content)) as picture:
        if picture.format == "PNG":
            packet = picture.info["XML:com.adobe.xmp"].encode()
        elif picture.format == "JPEG":
            packet = picture.info["xmp"]
        else:
            packet = picture.tag_v2[700]
    return ElementTree.fromstring(packet[packet.index(b"<x:xmpmeta") : packet.index(b"<?xpacket end")])


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize("record", [RECORD, ODD])
def test_what_is_written_is_read_back(tmp_path, image, image_format, record):
    path = tmp_path / ("cell" + FORMATS[image_format])
    path.write_bytes(encode(image, image_format, record))
    assert read_provenance(path) == record
    with Image.open(path) as picture:
        assert picture.format == image_format.upper()
        if image_format != "jpeg":
            assert np.array_equal(np.asarray(picture), image)


@pytest.mark.parametrize("image_format", FORMATS)
def test_the_xmp_packet_is_sound_and_names_the_source_type(image, image_format):
    tree = xmp_of(encode(image, image_format, ODD))
    (source,) = tree.iter(IPTC)
    assert source.text == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    (said,) = tree.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li")
    assert json.loads(said.text or "")["seed"] == 1


def test_a_sheet_says_the_same(image):
    content = encode_sheet(Image.fromarray(image), {"bundle": "pbc-256"})
    assert len(list(xmp_of(content).iter(IPTC))) == 1


@pytest.mark.parametrize("said", ["[1]", "null", "{}", '{"seed": 1}', "no json", "[" * 100_000])
def test_another_description_is_no_record(tmp_path, image, said):
    Image.fromarray(image).save(tmp_path / "x.tif", description=said)
    with pytest.raises(InputError, match="no record"):
        read_provenance(tmp_path / "x.tif")


def test_real_images_and_other_files_carry_no_record(tmp_path, drawn_cells: Path):
    (tmp_path / "text.png").write_text("no image")
    for path in (next(drawn_cells.glob("*/*.png")), tmp_path / "text.png", tmp_path / "nothing.png"):
        with pytest.raises(InputError, match="no record"):
            read_provenance(path)
