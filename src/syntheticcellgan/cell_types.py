"""The cell types of blood: names, synonyms, Cell Ontology identifiers, lineage, and how each is recognised.

The table holds what haematology laboratories and the public image sets ask for. It is no fence: a name that is not in
it becomes a type of the user's own (`resolve`), with the same rights everywhere.

Identifiers are those of the Cell Ontology (CL, https://obofoundry.org/ontology/cl); None where the ontology has no
such class, as for leukaemic cells. `malignant` says whether the cell, seen in blood, stands for a neoplasm; blasts
also live in healthy marrow.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class CellType:
    """One cell type.

    name: identifier, snake_case, used in files and options. title: for people. synonyms: other names and data-set
    abbreviations, any case. cell_ontology: "CL:…" or None. lineage: granulocytic, monocytic, lymphoid, erythroid,
    megakaryocytic or unknown. note: one line on how to recognise it (Romanowsky stain). parent: the wider type's name.
    """

    name: str
    title: str
    synonyms: tuple[str, ...]
    cell_ontology: str | None
    lineage: str
    malignant: bool
    note: str
    parent: str | None = None


_TABLE = (
    CellType(
        "neutrophil",
        "Neutrophil",
        ("neutrophils", "neutrophil granulocyte", "polymorphonuclear neutrophil", "PMN", "NEU", "NE", "NEUT"),
        "CL:0000775",
        "granulocytic",
        False,
        "Nucleus as a band or in 2 to 5 lobes joined by threads, pale pink cytoplasm with fine granules.",
    ),
    CellType(
        "band_neutrophil",
        "Band neutrophil",
        (
            "band neutrophils",
            "band",
            "bands",
            "neutrophil band",
            "band form",
            "stab cell",
            "rod neutrophil",
            "BNE",
            "NGB",
            "BNG",
        ),
        "CL:0000560",
        "granulocytic",
        False,
        "Neutrophil whose nucleus is a curved band of even width, without a thread between lobes.",
        "neutrophil",
    ),
    CellType(
        "segmented_neutrophil",
        "Segmented neutrophil",
        (
            "segmented neutrophils",
            "segmented",
            "neutrophil segmented",
            "neutrophil segment",
            "seg",
            "SNE",
            "NGS",
            "SNG",
        ),
        "CL:0000096",
        "granulocytic",
        False,
        "Neutrophil whose nucleus has 2 to 5 lobes joined by thin threads of chromatin.",
        "neutrophil",
    ),
    CellType(
        "eosinophil",
        "Eosinophil",
        ("eosinophils", "eosinophil granulocyte", "EO", "EOS", "EOSIN"),
        "CL:0000771",
        "granulocytic",
        False,
        "Cytoplasm full of large, even, orange-red granules; nucleus mostly of two lobes.",
    ),
    CellType(
        "basophil",
        "Basophil",
        ("basophils", "basophil granulocyte", "BA", "BAS", "BASO"),
        "CL:0000767",
        "granulocytic",
        False,
        "Coarse, dark violet granules that lie over and hide a lobed nucleus.",
    ),
    CellType(
        "lymphocyte",
        "Lymphocyte",
        ("lymphocytes", "typical lymphocyte", "lymphocyte typical", "small lymphocyte", "LY", "LYT", "LYM", "LYMPH"),
        "CL:0000542",
        "lymphoid",
        False,
        "Small, round, dense nucleus that nearly fills the cell; a narrow rim of sky-blue cytoplasm.",
    ),
    CellType(
        "monocyte",
        "Monocyte",
        ("monocytes", "MO", "MON", "MONO"),
        "CL:0000576",
        "monocytic",
        False,
        "Largest normal cell of blood: folded or kidney-shaped nucleus, lacy chromatin, grey-blue cytoplasm, vacuoles.",
    ),
    CellType(
        "immature_granulocyte",
        "Immature granulocyte",
        ("immature granulocytes", "immature granulocytes ig", "ig", "immature granulocyte ig", "immature myeloid cell"),
        None,
        "granulocytic",
        False,
        "Any granulocyte before the band: a round to kidney-shaped nucleus in granular cytoplasm.",
    ),
    CellType(
        "promyelocyte",
        "Promyelocyte",
        ("promyelocytes", "PMY", "PMO", "PRO", "PMB", "promyelocyte bilobed"),
        "CL:0000836",
        "granulocytic",
        False,
        "Large; round nucleus with nucleoli, blue cytoplasm with coarse purple granules, pale zone by the nucleus.",
        "immature_granulocyte",
    ),
    CellType(
        "myelocyte",
        "Myelocyte",
        ("myelocytes", "MY", "MYB", "MYL"),
        "CL:0002193",
        "granulocytic",
        False,
        "Round or oval nucleus without nucleoli, often off-centre; pink cytoplasm with fine secondary granules.",
        "immature_granulocyte",
    ),
    CellType(
        "metamyelocyte",
        "Metamyelocyte",
        ("metamyelocytes", "MMY", "MMZ", "MET", "META"),
        "CL:0002192",
        "granulocytic",
        False,
        "Kidney-shaped nucleus, dented by less than half of its width; pink cytoplasm with fine granules.",
        "immature_granulocyte",
    ),
    CellType(
        "erythroblast",
        "Erythroblast",
        ("erythroblasts", "normoblast", "nucleated red blood cell", "nrbc", "ERB", "EBO", "ERC", "NOB"),
        "CL:0000765",
        "erythroid",
        False,
        "Small, very dense round nucleus in smooth blue-grey to salmon cytoplasm without granules.",
    ),
    CellType(
        "proerythroblast",
        "Proerythroblast",
        ("pronormoblast", "PEB"),
        "CL:0000547",
        "erythroid",
        False,
        "Large round nucleus with fine chromatin and nucleoli; deep blue cytoplasm, pale zone by the nucleus.",
        "erythroblast",
    ),
    CellType(
        "platelet",
        "Platelet",
        ("platelets", "thrombocyte", "thrombocytes", "PLT"),
        "CL:0000233",
        "megakaryocytic",
        False,
        "Fragment of 2 to 3 µm without a nucleus, grey-blue with fine purple granules, much smaller than a red cell.",
    ),
    CellType(
        "giant_platelet",
        "Giant platelet",
        ("giant thrombocyte", "large platelet", "giant platelets", "GTH"),
        None,
        "megakaryocytic",
        False,
        "Platelet as large as a red cell or larger: granular, no nucleus.",
        "platelet",
    ),
    CellType(
        "platelet_clump",
        "Platelet clump",
        ("platelet clumps", "platelet aggregate", "thrombocyte aggregation", "thrombocyte aggregate"),
        None,
        "megakaryocytic",
        False,
        "Several platelets stuck together.",
        "platelet",
    ),
    CellType(
        "lymphocyte_variant",
        "Reactive lymphocyte",
        (
            "reactive lymphocyte",
            "lymphocyte reactive",
            "variant lymphocyte",
            "atypical lymphocyte",
            "lymphocyte atypical",
            "lymphocyte variant form",
            "LYA",
            "LYR",
            "VL",
        ),
        None,
        "lymphoid",
        False,
        "Large lymphocyte with wide, deep-blue-edged cytoplasm that hugs the red cells around it.",
        "lymphocyte",
    ),
    CellType(
        "large_granular_lymphocyte",
        "Large granular lymphocyte",
        ("LGL", "lymphocyte large granular", "large granulated lymphocyte"),
        None,
        "lymphoid",
        False,
        "Lymphocyte with wide pale cytoplasm and a few distinct red granules.",
        "lymphocyte",
    ),
    CellType(
        "lymphocyte_neoplastic",
        "Neoplastic lymphocyte",
        ("neoplastic lymphocyte", "lymphoma cell", "abnormal lymphocyte", "LYN"),
        None,
        "lymphoid",
        True,
        "Lymphocyte of a lymphoma: clumped chromatin, cleft or irregular nucleus, many of one look.",
        "lymphocyte",
    ),
    CellType(
        "prolymphocyte",
        "Prolymphocyte",
        ("prolymphocytes", "PLY"),
        None,
        "lymphoid",
        True,
        "Larger than a lymphocyte; one prominent nucleolus in fairly dense chromatin, pale blue cytoplasm.",
        "lymphocyte",
    ),
    CellType(
        "hairy_cell",
        "Hairy cell",
        ("hairy cells", "hairy", "hcl cell", "hairy cell leukaemia", "hairy cell leukemia", "HAC", "HCL", "HC"),
        None,
        "lymphoid",
        True,
        "Lymphoid cell with hair-like projections all round, an oval or bean-shaped nucleus and pale blue cytoplasm.",
        "lymphocyte",
    ),
    CellType(
        "plasma_cell",
        "Plasma cell",
        ("plasma cells", "plasmacyte", "plasmocyte", "PLM", "PC"),
        "CL:0000786",
        "lymphoid",
        False,
        "Egg-shaped; off-centre nucleus with clock-face chromatin, deep blue cytoplasm, pale zone by the nucleus.",
    ),
    CellType(
        "blast",
        "Blast",
        ("blasts", "blast cell", "blast no lineage spec", "leukemic blast", "leukaemic blast", "BL", "BLA"),
        None,
        "unknown",
        True,
        "Large nucleus with fine, open chromatin and nucleoli; little blue cytoplasm.",
    ),
    CellType(
        "myeloblast",
        "Myeloblast",
        ("myeloblasts", "myeloid blast", "MYO", "MBL"),
        "CL:0000835",
        "granulocytic",
        True,
        "Blast with 2 to 5 nucleoli; few or no granules, sometimes an Auer rod.",
        "blast",
    ),
    CellType(
        "lymphoblast",
        "Lymphoblast",
        ("lymphoblasts", "lymphoid blast", "all blast", "LBL"),
        "CL:0017005",
        "lymphoid",
        True,
        "Blast with scant cytoplasm without granules, smooth chromatin and few, faint nucleoli.",
        "blast",
    ),
    CellType(
        "monoblast",
        "Monoblast",
        ("monoblasts", "monocytic blast", "MOB"),
        "CL:0000040",
        "monocytic",
        True,
        "Large blast with a round nucleus, one big nucleolus and wide blue cytoplasm.",
        "blast",
    ),
    CellType(
        "promonocyte",
        "Promonocyte",
        ("promonocytes", "PMC", "PRM"),
        "CL:0000559",
        "monocytic",
        True,
        "Between monoblast and monocyte: delicately folded nucleus, fine chromatin, grey-blue cytoplasm.",
    ),
    CellType(
        "promyelocyte_apl",
        "Atypical promyelocyte (APL)",
        (
            "atypical promyelocyte",
            "promyelocyte atypical",
            "abnormal promyelocyte",
            "apl promyelocyte",
            "leukemic promyelocyte",
            "leukaemic promyelocyte",
            "APL",
            "PMA",
        ),
        None,
        "granulocytic",
        True,
        "Promyelocyte of acute promyelocytic leukaemia: folded or two-lobed nucleus, dense granules, Auer rods.",
        "promyelocyte",
    ),
    CellType(
        "promyelocyte_aml",
        "Promyelocyte of an AML patient",
        ("aml promyelocyte",),
        None,
        "granulocytic",
        True,
        "A cell signed off as promyelocyte in a patient with acute myeloid leukaemia that is not promyelocytic.",
        "promyelocyte",
    ),
    CellType(
        "blast_apl",
        "Blast of an APL patient",
        ("apl blast",),
        None,
        "granulocytic",
        True,
        "A cell signed off as blast in a patient with acute promyelocytic leukaemia.",
        "blast",
    ),
    CellType(
        "blast_aml",
        "Blast of an AML patient",
        ("aml blast",),
        None,
        "unknown",
        True,
        "A cell signed off as blast in a patient with acute myeloid leukaemia that is not promyelocytic.",
        "blast",
    ),
    CellType(
        "faggot_cell",
        "Faggot cell",
        ("faggott cell", "FGC"),
        None,
        "granulocytic",
        True,
        "Atypical promyelocyte with bundles of Auer rods.",
        "promyelocyte_apl",
    ),
    CellType(
        "smudge_cell",
        "Smudge cell",
        ("smudge cells", "smudge", "smear cell", "basket cell", "gumprecht shadow", "KSC", "SMU"),
        None,
        "unknown",
        False,
        "Burst cell: a bare, spread, structureless nucleus without cytoplasm.",
    ),
)

CELL_TYPES: dict[str, CellType] = {cell_type.name: cell_type for cell_type in _TABLE}


def slug(name: str) -> str:
    """`name` as an identifier: lower case, words joined by underscores. Letters of any script are kept.

    Accents stay (composed form), so "Hématogone" and "hematogone" are two types; spaces, dashes, dots, slashes and
    brackets become one underscore.
    """
    text = unicodedata.normalize("NFC", name).casefold()
    return re.sub(r"\W+", "_", text.replace("_", " ")).strip("_")


def _lookup() -> dict[str, CellType]:
    table: dict[str, CellType] = {}
    for cell_type in _TABLE:
        for name in (cell_type.name, cell_type.title, *cell_type.synonyms):
            if table.setdefault(slug(name), cell_type) is not cell_type:
                raise AssertionError(f"{name!r} names two cell types")
    return table


_BY_SLUG = _lookup()


def resolve(name: str) -> CellType:
    """The type that `name` means: identifier, title, synonym or abbreviation, whatever case, spaces and dashes.

    An unknown name gives a type of the user's own: its slug, lineage "unknown". A name without any letter or digit is
    a ValueError.
    """
    key = slug(name)
    if not key:
        raise ValueError(f"{name!r} has no letter or digit and cannot name a cell type")
    known = _BY_SLUG.get(key)
    if known is not None:
        return known
    return CellType(key, " ".join(name.replace("_", " ").split()), (), None, "unknown", False, "")


def is_known(name: str) -> bool:
    """Whether `name` is in the table (under any of its names)."""
    return slug(name) in _BY_SLUG


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `name` most likely meant, or None if none is close: for "did you mean …?"."""
    by_slug = {slug(candidate): candidate for candidate in candidates}
    known = _BY_SLUG.get(slug(name))
    if known is not None and known.name in by_slug:
        return by_slug[known.name]
    close = difflib.get_close_matches(slug(name), list(by_slug), n=1, cutoff=0.6)
    return by_slug[close[0]] if close else None
