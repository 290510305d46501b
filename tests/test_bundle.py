"""Bundles: what is written is read back, and whatever is wrong with one is said in a sentence."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import random
import shutil
import stat
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from syntheticcellgan.bundle import load_bundle, read_card, verify_bundle
from syntheticcellgan.bundle_writing import export_bundle, rewrite_card, write_bundle
from syntheticcellgan.cli import main
from syntheticcellgan.config import ChainConfig, GeneratorConfig, TranslatorConfig
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.networks.generator import LowResolutionGenerator
from syntheticcellgan.networks.translator import Translator

CHAIN = ChainConfig(
    ("lymphocyte", "monocyte"),
    GeneratorConfig(resolution=32, width=16, latent_size=8),
    TranslatorConfig(scale=4, width=8, blocks=1),
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    networks = LowResolutionGenerator(CHAIN), Translator(CHAIN)
    write_bundle(folder, CHAIN, *networks, {"name": "tiny"}, Image.new("RGB", (8, 8)))
    return folder


def resum(folder: Path) -> None:
    """Bring SHA256SUMS up to date, as somebody who means harm would."""
    lines = [
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n"
        for p in sorted(folder.iterdir())
        if p.name != "SHA256SUMS"
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


def change_config(folder: Path, change) -> None:
    values = json.loads((folder / "config.json").read_text())
    change(values)
    (folder / "config.json").write_text(json.dumps(values))
    resum(folder)


def test_what_is_written_is_read_back_in_half_precision(bundle):
    loaded = load_bundle(bundle)
    original = LowResolutionGenerator(CHAIN).state_dict()
    assert loaded.chain == CHAIN
    assert loaded.style_mean.shape == (2, 8)
    for name, tensor in loaded.generator.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, original[name].half().float())


def test_a_zip_loads_like_the_folder_and_is_the_same_each_time(bundle, tmp_path):
    for name in ("a.zip", "b.zip"):
        export_bundle(bundle, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert load_bundle(tmp_path / "a.zip").id == load_bundle(bundle).id
    with pytest.raises(InputError, match="exists already"):
        export_bundle(bundle, tmp_path / "a.zip")


def test_the_card_can_be_completed_and_the_checksums_follow(bundle):
    before = load_bundle(bundle).id
    rewrite_card(bundle, read_card(bundle) | {"limits": ["one laboratory"]})
    assert "one laboratory" in (bundle / "card.md").read_text()
    verify_bundle(bundle)
    assert load_bundle(bundle).id == before, "its cells are the same"


def test_a_wrong_checksum_names_the_file(bundle):
    with open(bundle / "card.md", "a") as file:
        file.write("!")
    with pytest.raises(InputError, match=r"checksum of card\.md is wrong"):
        load_bundle(bundle)


def test_a_missing_file_is_named(bundle):
    (bundle / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json is missing"):
        load_bundle(bundle)


def test_a_missing_tensor_is_named(bundle):
    tensors = load_file(bundle / "generator.safetensors")
    del tensors["start.weight"]
    save_file(tensors, bundle / "generator.safetensors")
    resum(bundle)
    with pytest.raises(InputError, match=r"lacks the tensor start\.weight"):
        load_bundle(bundle)


def test_a_tensor_of_another_shape_is_named_before_anything_is_built(bundle):
    tensors = load_file(bundle / "translator.safetensors")
    tensors["stem.weight"] = torch.zeros(1, 1)
    save_file(tensors, bundle / "translator.safetensors")
    resum(bundle)
    with pytest.raises(InputError, match=r"stem\.weight has the shape \(1, 1\)"):
        load_bundle(bundle)


def test_a_foreign_tensor_and_a_foreign_kind_are_refused(bundle):
    original = load_file(bundle / "translator.safetensors")
    save_file(original | {"more": torch.zeros(1)}, bundle / "translator.safetensors")
    resum(bundle)
    with pytest.raises(InputError, match="no place for"):
        load_bundle(bundle)
    save_file(original | {"stem.bias": original["stem.bias"].int()}, bundle / "translator.safetensors")
    resum(bundle)
    with pytest.raises(InputError, match="is of kind I32"):
        load_bundle(bundle)


def test_values_that_are_no_numbers_are_refused(bundle):
    tensors = load_file(bundle / "translator.safetensors")
    tensors["stem.bias"][0] = float("nan")
    save_file(tensors, bundle / "translator.safetensors")
    resum(bundle)
    with pytest.raises(InputError, match="no numbers"):
        load_bundle(bundle)


def test_an_unknown_configuration_key_proposes_the_nearest(bundle):
    change_config(bundle, lambda v: v["chain"]["generator"].update(widht=16))
    with pytest.raises(InputError, match="“widht” is not known; did you mean “width”"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v["chain"]["generator"].update(width=10**9),
        lambda v: v["chain"]["generator"].update(width=10**400),
        lambda v: v["chain"]["generator"].update(resolution=63),
        lambda v: v["chain"].update(cell_types=[]),
        lambda v: v["chain"].update(cell_types="lymphocyte"),
        lambda v: v.update(chain=None),
        lambda v: v.update(format=99),
    ],
)
def test_a_configuration_that_no_network_can_have_is_refused(bundle, change):
    change_config(bundle, change)
    with pytest.raises(InputError, match=r"config\.json|format"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "..", "a/b", "a\\b", "C:evil", "", "a\0b", "Monocyte"])
def test_a_type_name_that_could_leave_the_output_folder_is_refused(bundle, name):
    change_config(bundle, lambda v: v["chain"].update(cell_types=["lymphocyte", name]))
    with pytest.raises(InputError, match="no name of a cell type"):
        load_bundle(bundle)


@pytest.mark.parametrize("card", ["[]", "{", '{"data": 5}', '{"training": {"stages": {"x": {}}}}', '{"limits": 3}'])
def test_a_card_of_another_layout_is_refused(bundle, card):
    (bundle / "card.json").write_text(card)
    resum(bundle)
    for read in (load_bundle, read_card):
        with pytest.raises(InputError, match=r"card\.json"):
            read(bundle)


def test_verify_looks_into_the_picture_and_the_fingerprints(bundle):
    def put(name: str, content: bytes) -> None:
        (bundle / name).write_bytes(content)
        resum(bundle)

    buffer = io.BytesIO()
    np.savez(buffer, features=np.zeros((3, 2), np.float32))
    put("fingerprints.npz", buffer.getvalue())
    assert verify_bundle(bundle).fingerprints == buffer.getvalue()
    buffer = io.BytesIO()
    np.savez(buffer, features=np.array([{"harm": 1}], dtype=object))
    for content in (buffer.getvalue(), b"no npz", b""):
        put("fingerprints.npz", content)
        with pytest.raises(InputError, match=r"fingerprints\.npz"):
            verify_bundle(bundle)
    (bundle / "fingerprints.npz").unlink()
    put("samples.png", b"no picture")
    with pytest.raises(InputError, match=r"samples\.png"):
        verify_bundle(bundle)


def test_a_pickle_in_disguise_is_named_and_not_opened(bundle):
    class Harm:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was executed",))

    (bundle / "generator.safetensors").write_bytes(pickle.dumps(Harm()))
    resum(bundle)
    with pytest.raises(InputError, match="pickle in disguise"):
        load_bundle(bundle)
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(1)}, buffer)
    (bundle / "generator.safetensors").write_bytes(buffer.getvalue())
    resum(bundle)
    with pytest.raises(InputError, match="pickle in disguise"):
        load_bundle(bundle)


def test_a_header_whose_length_begins_like_a_pickle_is_none(bundle):
    file = bundle / "translator.safetensors"
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    longer = ((length >> 16) + 1 << 16) | 0x0280  # its first bytes: 80 02
    header = content[8 : 8 + length].ljust(longer)
    file.write_bytes(longer.to_bytes(8, "little") + header + content[8 + length :])
    resum(bundle)
    assert load_bundle(bundle).chain == CHAIN


@pytest.mark.parametrize(
    "entry",
    [
        {"shape": [float("inf")]},
        {"shape": [8.0]},
        {"shape": 8},
        {"data_offsets": ["a", "b"]},
        {"data_offsets": [0]},
        {"data_offsets": [-16, 0]},
        {"data_offsets": [0, 2**62]},
        {"dtype": None},
    ],
)
def test_a_damaged_header_is_refused(bundle, entry):
    file = bundle / "translator.safetensors"
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["stem.bias"].update(entry)
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    resum(bundle)
    with pytest.raises(InputError, match=r"translator\.safetensors"):
        load_bundle(bundle)


def test_loading_needs_no_compiler(bundle):
    code = f"import sys; from syntheticcellgan.bundle import load_bundle; load_bundle({str(bundle)!r});"
    code += "assert 'torch._dynamo' not in sys.modules, 'seconds of imports to draw weights that are replaced'"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x10" + bytes(7) + b"{not json......}"])
def test_a_damaged_tensor_file_is_refused(bundle, content):
    (bundle / "generator.safetensors").write_bytes(content)
    resum(bundle)
    with pytest.raises(InputError, match=r"generator\.safetensors"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil", "sub/config.json", "notes.txt"])
def test_a_zip_with_a_foreign_member_is_refused_and_nothing_is_unpacked(bundle, tmp_path, name):
    export_bundle(bundle, tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "a") as archive:
        archive.writestr(name, "harm")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="belongs in no bundle"):
        load_bundle(tmp_path / "b.zip")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_zip_with_a_link_is_refused(bundle, tmp_path):
    info = zipfile.ZipInfo("config.json")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="belongs in no bundle"):
        load_bundle(tmp_path / "b.zip")


def test_a_zip_bomb_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("generator.safetensors", bytes(50_000_000))
    with pytest.raises(InputError, match="times its size"):
        load_bundle(tmp_path / "b.zip")


def test_a_zip_with_any_changed_byte_is_refused_or_means_the_same(bundle, tmp_path):
    export_bundle(bundle, tmp_path / "b.zip")
    whole = (tmp_path / "b.zip").read_bytes()
    expected = load_bundle(bundle).id
    chance = random.Random(0)
    refused = 0
    for _ in range(150):
        changed = bytearray(whole)
        changed[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        (tmp_path / "b.zip").write_bytes(changed)
        try:
            assert load_bundle(tmp_path / "b.zip").id == expected
        except InputError:
            refused += 1
    assert refused > 100


def test_a_zip_that_holds_a_name_twice_is_refused(bundle, tmp_path):
    export_bundle(bundle, tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", "{}")
    with pytest.raises(InputError, match=r"config\.json twice"):
        load_bundle(tmp_path / "b.zip")


def test_a_bundle_beyond_every_size_is_refused_unread(bundle, monkeypatch):
    monkeypatch.setattr("syntheticcellgan.bundle_files.TOTAL", 1000)
    with pytest.raises(InputError, match="largest bundle"):
        load_bundle(bundle)
    with open(bundle / "card.json", "wb") as file:
        file.truncate(2**20 + 1)
    with pytest.raises(InputError, match=r"card\.json has 1,048,577 bytes"):
        load_bundle(bundle)


def test_a_truncated_zip_is_refused(bundle, tmp_path):
    export_bundle(bundle, tmp_path / "b.zip")
    whole = (tmp_path / "b.zip").read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 5):
        (tmp_path / "b.zip").write_bytes(whole[:length])
        with pytest.raises(InputError):
            load_bundle(tmp_path / "b.zip")


def test_something_else_is_no_bundle(tmp_path):
    (tmp_path / "cell.png").write_bytes(b"no bundle")
    for path in (tmp_path / "cell.png", tmp_path, tmp_path / "nothing-here"):
        with pytest.raises(InputError):
            load_bundle(path)


def test_a_misspelt_shipped_name_proposes_the_nearest(bundle, monkeypatch):
    monkeypatch.setattr("syntheticcellgan.bundle.shipped_bundles", lambda: {"pbc-256": bundle})
    assert load_bundle("pbc-256").path == bundle
    with pytest.raises(InputError, match="Did you mean “pbc-256”"):
        load_bundle("pcb-256")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", ""])
def test_what_no_path_can_be_is_refused(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        load_bundle(name)


def test_writing_into_a_folder_that_holds_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    networks = LowResolutionGenerator(CHAIN), Translator(CHAIN)
    with pytest.raises(InputError, match="holds other files"):
        write_bundle(tmp_path, CHAIN, *networks, {}, Image.new("RGB", (8, 8)))
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    networks = LowResolutionGenerator(CHAIN), Translator(CHAIN)
    with pytest.raises(ScgError, match="No space left"):
        write_bundle(tmp_path / "b", CHAIN, *networks, {}, Image.new("RGB", (8, 8)))
    assert list(tmp_path.iterdir()) == []


def test_a_new_card_destroys_nothing_else(bundle, tmp_path, monkeypatch):
    before = load_bundle(bundle).id
    monkeypatch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ScgError, match="No space left"):
        rewrite_card(bundle, {"name": "new"})
    monkeypatch.undo()
    assert load_bundle(bundle).id == before
    assert [p.name for p in tmp_path.iterdir()] == ["tiny"]
    (bundle / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        rewrite_card(bundle, {"name": "new"})
    assert (bundle / "notes.txt").read_text() == "mine"


def test_a_bundle_is_not_written_over_a_file(tmp_path):
    (tmp_path / "b").write_text("a file")
    with pytest.raises(InputError, match="is a file"):
        write_bundle(
            tmp_path / "b", CHAIN, LowResolutionGenerator(CHAIN), Translator(CHAIN), {}, Image.new("RGB", (8, 8))
        )
    assert (tmp_path / "b").read_text() == "a file"


@pytest.mark.parametrize("value", [1e6, float("nan")])
def test_weights_that_half_precision_cannot_hold_are_not_written(tmp_path, value):
    translator = Translator(CHAIN)
    with torch.no_grad():
        translator.stem.bias[0] = value
    with pytest.raises(ScgError, match=r"stem\.bias"):
        write_bundle(tmp_path / "b", CHAIN, LowResolutionGenerator(CHAIN), translator, {}, Image.new("RGB", (8, 8)))
    assert not (tmp_path / "b").exists()


def test_the_commands_show_verify_and_export(bundle, tmp_path, capsys):
    main(["bundle", "show", str(bundle)])
    assert "# tiny" in capsys.readouterr().out
    main(["bundle", "export", str(bundle), str(tmp_path / "t.zip")])
    main(["bundle", "verify", str(tmp_path / "t.zip")])
    assert "whole and unaltered: tiny" in capsys.readouterr().out
    (bundle / "card.md").write_text("altered")
    with pytest.raises(SystemExit) as stop:
        main(["bundle", "verify", str(bundle)])
    assert stop.value.code == 2
    assert "checksum of card.md is wrong" in capsys.readouterr().err


def test_a_copied_bundle_keeps_its_id(bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "copy")
    assert load_bundle(tmp_path / "copy").id == load_bundle(bundle).id


def test_other_weights_or_settings_are_another_bundle(bundle, tmp_path):
    for name, chain, seed in (
        ("weights", CHAIN, 1),
        ("settings", replace(CHAIN, translator=replace(CHAIN.translator, level=0.1)), 0),
    ):
        networks = LowResolutionGenerator(chain, seed), Translator(chain)
        write_bundle(tmp_path / name, chain, *networks, {"name": "tiny"}, Image.new("RGB", (8, 8)))
    folders = [bundle, tmp_path / "weights", tmp_path / "settings"]
    assert len({load_bundle(folder).id for folder in folders}) == 3
