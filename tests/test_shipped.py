"""What ships with the package: the bundle, the sample, the demonstration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from syntheticcellgan import SyntheticCellGAN, read_manifest
from syntheticcellgan.bundle import find_bundle, read_card
from syntheticcellgan.data.images import read_image
from syntheticcellgan.data.sample import sample_folder
from syntheticcellgan.demo import make_demo
from syntheticcellgan.evaluation.report.card_figures import card_figures
from syntheticcellgan.evaluation.report.store import read_report

TYPES = {
    *("basophil", "eosinophil", "erythroblast", "lymphocyte", "metamyelocyte"),
    *("monocyte", "myelocyte", "neutrophil", "platelet", "promyelocyte"),
}


@pytest.fixture(scope="module")
def chain() -> SyntheticCellGAN:
    return SyntheticCellGAN.load("pbc-256")


def test_the_bundle_is_small_and_knows_the_ten_types(chain):
    assert set(chain.cell_types) == TYPES
    assert chain.chain.output_size == 256
    assert sum(p.stat().st_size for p in find_bundle("pbc-256").iterdir()) < 40e6


def test_its_card_says_what_a_user_must_know(chain):
    card = chain.bundle.card
    assert "CC BY 4.0" in card["data"]["licence"]
    assert "Never for diagnosis" in card["intended_use"]
    assert card["metrics"]["figures"]
    assert set(card["data"]["counts"]) == {"train", "validation", "test"}
    assert "efficientnet-lite0" in card["training"]["extractors_in_losses"]


def test_the_bundle_of_leukaemic_cells_is_small_and_says_what_is_not_known_of_its_images():
    folder = find_bundle("apl-256")
    assert sum(p.stat().st_size for p in folder.iterdir()) < 40e6
    card = read_card(folder)
    assert "not verified" in card["data"]["licence"]
    assert card["data"]["split_by"] == "patient"
    assert {"promyelocyte_apl", "blast_apl", "blast_aml"} <= set(card["data"]["counts"]["train"])
    committed = card_figures(read_report(Path(__file__).parents[1] / "docs" / "results" / "apl-256"))
    assert committed["figures"] == card["metrics"]["figures"]


def test_the_figures_on_the_card_are_those_of_the_committed_results(chain):
    committed = card_figures(read_report(Path(__file__).parents[1] / "docs" / "results" / "pbc-256"))
    assert committed["figures"] == chain.bundle.card["metrics"]["figures"]


def test_types_differ_as_real_cells_do(chain):
    """Dark pixels of the nucleus: platelets have fewest and promyelocytes many, on real and synthetic cells alike."""

    def dark(images: np.ndarray) -> float:
        return float((images[..., 1] < 120).mean())

    sample = read_manifest(sample_folder())
    for name in ("platelet", "promyelocyte"):
        real = np.stack([read_image(sample.path(r)) for r in sample.of_type(name).records])
        assert dark(chain.generate(name, 16).images) == pytest.approx(dark(real), rel=0.5)


def test_the_demonstration_makes_a_page_whose_pictures_are_all_there(tmp_path):
    page, made = make_demo(tmp_path / "demo", 1, 0)
    assert made == 10
    html = page.read_text()
    sources = [part.split('"')[0] for part in html.split('src="')[1:]]
    assert len(sources) == 20
    assert all((page.parent / source).is_file() for source in sources)
    assert (page.parent / "contact_sheet.png").is_file()
    assert (page.parent / "real" / "ATTRIBUTION.md").is_file()
