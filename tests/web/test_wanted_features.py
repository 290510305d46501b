"""Wanted features in the studio: chosen in the form, carried to picture, cell page, walk and zip; the impossible is said."""

from __future__ import annotations

import io
import json
import re
import zipfile

import pytest
from PIL import Image
from tests.web.conftest import open_site

WANTED = "with=nucleus_size%3Dlarge"


@pytest.fixture(scope="module")
def site(tmp_path_factory, folders, taught):
    made = open_site(tmp_path_factory.mktemp("features"), folders, bundles=[str(taught)])
    yield made
    made.database.close()


def test_the_form_offers_what_the_bundle_knows_and_keeps_the_choice(site):
    page = site.organiser.get("/studio").text
    assert '<option value="nucleus_size=large">' in page
    assert '<option value="nc_ratio=medium">' in page
    chosen = site.organiser.get(f"/studio?with=&{WANTED}&cell_type=monocyte&count=2").text
    assert '<option value="nucleus_size=large" selected>' in chosen
    assert "<details open>" in chosen


def test_what_is_shown_and_packed_was_chosen(site):
    page = site.organiser.get(f"/studio?{WANTED}&cell_type=monocyte&count=2&seed=3").text
    addresses = [found.replace("&amp;", "&") for found in re.findall(r'src="(/studio/picture/[^"]+)"', page)]
    assert len(addresses) == 2
    with Image.open(io.BytesIO(site.organiser.get(addresses[0]).content)) as image:
        made = json.loads(image.info["Description"])
    assert made["wanted"] == {"nucleus_size": "large"}
    cell = site.organiser.get(addresses[0].replace("picture", "cell").replace(".png", "")).text
    assert made["predicted"]["nucleus_area"] in cell
    assert "--with" in cell
    fields = {"csrf": site.keys.csrf, "cell_type": "monocyte", "keep": [3, 4], "with": ["nucleus_size=large"]}
    packed = site.organiser.post("/studio/pack", data=fields)
    with zipfile.ZipFile(io.BytesIO(packed.content)) as files:
        assert files.read("metadata.csv").decode().count("large") >= 2


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("dark%3Dyes", "none showed dark=yes"),
        ("drak%3Dyes", "did you mean"),
        ("dark", "NAME=VALUE"),
    ],
)
def test_the_impossible_is_answered_with_a_sentence(site, wish, said):
    told = site.organiser.get(f"/studio?with={wish}&cell_type=lymphocyte&count=1")
    assert told.status_code == 422
    assert said in told.text
