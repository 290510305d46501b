from __future__ import annotations

import re

import pytest

from syntheticcellgan.cell_types import CELL_TYPES, is_known, nearest, resolve, slug

REQUIRED = (
    "neutrophil",
    "band_neutrophil",
    "segmented_neutrophil",
    "eosinophil",
    "basophil",
    "lymphocyte",
    "monocyte",
    "immature_granulocyte",
    "promyelocyte",
    "myelocyte",
    "metamyelocyte",
    "erythroblast",
    "platelet",
    "lymphocyte_variant",
    "plasma_cell",
    "promyelocyte_apl",
    "blast",
    "myeloblast",
    "lymphoblast",
    "hairy_cell",
    "smudge_cell",
    "promonocyte",
    "monoblast",
    "giant_platelet",
    "blast_apl",
    "blast_aml",
    "promyelocyte_aml",
)

# Abbreviations of the Barcelona set, of AML-Cytomorphology_LMU and of CellaVision exports.
ABBREVIATIONS = {
    "BNE": "band_neutrophil",
    "SNE": "segmented_neutrophil",
    "EO": "eosinophil",
    "BA": "basophil",
    "LY": "lymphocyte",
    "MO": "monocyte",
    "PMY": "promyelocyte",
    "MMY": "metamyelocyte",
    "MY": "myelocyte",
    "IG": "immature_granulocyte",
    "ERB": "erythroblast",
    "BAS": "basophil",
    "EBO": "erythroblast",
    "EOS": "eosinophil",
    "KSC": "smudge_cell",
    "LYA": "lymphocyte_variant",
    "LYT": "lymphocyte",
    "MMZ": "metamyelocyte",
    "MOB": "monoblast",
    "MON": "monocyte",
    "MYB": "myelocyte",
    "MYO": "myeloblast",
    "NGB": "band_neutrophil",
    "NGS": "segmented_neutrophil",
    "PMB": "promyelocyte",
    "PMO": "promyelocyte",
}


@pytest.mark.parametrize("name", REQUIRED)
def test_required_types_are_there(name: str) -> None:
    assert CELL_TYPES[name].name == name


@pytest.mark.parametrize(("abbreviation", "name"), ABBREVIATIONS.items())
def test_abbreviations_in_any_case(abbreviation: str, name: str) -> None:
    assert resolve(abbreviation).name == name
    assert resolve(abbreviation.lower()).name == name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Neutrophil", "neutrophil"),
        ("  segmented   NEUTROPHILS ", "segmented_neutrophil"),
        ("Atypical promyelocyte (APL)", "promyelocyte_apl"),
        ("reactive-lymphocyte", "lymphocyte_variant"),
        ("Lymphocyte, variant", "lymphocyte_variant"),
        ("Blast, no lineage spec", "blast"),
        ("Hairy_Cell", "hairy_cell"),
        ("normoblast", "erythroblast"),
    ],
)
def test_synonyms_whatever_case_spaces_and_dashes(given: str, name: str) -> None:
    assert resolve(given).name == name


@pytest.mark.parametrize("cell_type", CELL_TYPES.values(), ids=lambda cell_type: cell_type.name)
def test_every_entry_is_complete(cell_type) -> None:  # type: ignore[no-untyped-def]
    assert slug(cell_type.name) == cell_type.name
    assert cell_type.note
    assert "\n" not in cell_type.note
    assert cell_type.lineage in {"granulocytic", "monocytic", "lymphoid", "erythroid", "megakaryocytic", "unknown"}
    assert cell_type.cell_ontology is None or re.fullmatch(r"CL:\d{7}", cell_type.cell_ontology)
    assert cell_type.parent is None or cell_type.parent in CELL_TYPES
    for name in (cell_type.title, *cell_type.synonyms):
        assert resolve(name) is cell_type


def test_parents_lead_to_a_root() -> None:
    for cell_type in CELL_TYPES.values():
        seen = [cell_type.name]
        while (parent := CELL_TYPES[seen[-1]].parent) is not None:
            assert parent not in seen
            seen.append(parent)


def test_published_cell_ontology_identifiers() -> None:
    published = {
        "neutrophil": "CL:0000775",
        "eosinophil": "CL:0000771",
        "basophil": "CL:0000767",
        "lymphocyte": "CL:0000542",
        "monocyte": "CL:0000576",
        "platelet": "CL:0000233",
        "erythroblast": "CL:0000765",
        "promyelocyte": "CL:0000836",
        "plasma_cell": "CL:0000786",
        "promonocyte": "CL:0000559",
    }
    assert {name: CELL_TYPES[name].cell_ontology for name in published} == published
    identifiers = [cell_type.cell_ontology for cell_type in CELL_TYPES.values() if cell_type.cell_ontology]
    assert len(set(identifiers)) == len(identifiers)


def test_malignant_types() -> None:
    assert CELL_TYPES["hairy_cell"].malignant
    assert CELL_TYPES["promyelocyte_apl"].malignant
    assert not CELL_TYPES["promyelocyte"].malignant
    assert not CELL_TYPES["lymphocyte_variant"].malignant


def test_own_type_is_a_first_class_type() -> None:
    own = resolve("Sézary cell / T-zone")
    assert own.name == "sézary_cell_t_zone"
    assert own.title == "Sézary cell / T-zone"
    assert own.lineage == "unknown"
    assert not is_known(own.name)
    assert resolve(own.name).name == own.name


def test_composed_and_decomposed_accents_are_one_name() -> None:
    assert resolve("He\u0301matogone").name == resolve("H\u00e9matogone").name


@pytest.mark.parametrize("name", ["", "  ", "--", "?!"])
def test_name_without_letters_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no letter"):
        resolve(name)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("eosinophill", "eosinophil"), ("Monocytes", "monocyte"), ("EO", "eosinophil"), ("xyz", None), ("", None)],
)
def test_nearest(given: str, meant: str | None) -> None:
    assert nearest(given, ["eosinophil", "monocyte", "platelet"]) == meant


def test_nearest_gives_the_candidate_as_spelt() -> None:
    assert nearest("hematogon", ["Hematogone 1", "platelet"]) == "Hematogone 1"
