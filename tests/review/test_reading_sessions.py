"""Making sessions: numbers, orders, repeats, blinding; readers, their links and their answers."""

from __future__ import annotations

import io
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image
from tests.conftest import draw_cell

from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.errors import InputError
from syntheticcellgan.review import reading, sessions
from syntheticcellgan.review.checklist import Answer
from syntheticcellgan.review.encoding import common_form, encode_blind, pad
from syntheticcellgan.review.overview import list_readers, list_sessions
from syntheticcellgan.review.sessions import Settings, create_session, draw_order, invite_reader
from syntheticcellgan.review.tables import CellImage, Item, new_id

COMPLETE = Answer("real", 3, "monocyte")


def contents(database, session_id, number=1):
    with database.reading() as rows:
        wanted = sa.select(CellImage.truth, CellImage.cell_type, CellImage.content)
        return rows.execute(wanted.where(CellImage.session_id == session_id, CellImage.round == number)).all()


def test_an_id_never_looks_like_an_option():
    """Ids are typed: `scg review close ID`. Of 500 random base64 ids about eight would begin with "-"."""
    assert all(re.fullmatch("[0-9a-f]{24}", new_id()) for _ in range(500))


def test_a_session_has_so_many_of_each_kind_and_type(database, session_id):
    found = contents(database, session_id)
    assert len(found) == 18
    assert {(t, c): sum(x[:2] == (t, c) for x in found) for t, c, _ in found} == {
        (truth, name): 3 for truth in ("real", "synthetic") for name in ("lymphocyte", "monocyte", "platelet")
    }
    (line,) = list_sessions(database)
    assert (line.images, line.settings.side, line.settings.quality) == (18, 128, 80)


def test_nothing_but_the_picture_differs(database, session_id):
    found = contents(database, session_id)
    assert len({len(content) for _, _, content in found}) == 1, "file lengths tell"
    forms = set()
    for _, _, content in found:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            tables = tuple(tuple(t) for t in image.quantization.values())
            info = tuple(sorted((k, str(v)) for k, v in image.info.items()))
            forms.add((image.format, image.size, image.mode, tables, info, tuple(image.layer)))
    assert len(forms) == 1
    assert b"DM96" not in b"".join(content for _, _, content in found)


def test_the_container_of_an_image_leaves_no_trace(tmp_path):
    image = draw_cell(90, 40, np.random.default_rng(0))
    files = []
    for name, options in (
        ("a.png", {}),
        ("b.bmp", {}),
        ("c.tif", {"compression": "tiff_lzw"}),
        ("d.webp", {"lossless": True}),
    ):
        image.save(tmp_path / name, **options)
        files.append(encode_blind(tmp_path / name, 128, 90)[0])
    assert len(set(files)) == 1


def test_quality_and_side_are_those_of_the_worst_file(tmp_path):
    image = draw_cell(90, 40, np.random.default_rng(0))
    image.save(tmp_path / "a.jpg", quality=71)
    image.save(tmp_path / "b.jpg", quality=95)
    image.resize((100, 120)).save(tmp_path / "c.png")
    assert common_form([tmp_path / name for name in ("a.jpg", "b.jpg", "c.png")]) == (100, 71)
    assert common_form([tmp_path / "c.png"]) == (100, 92)
    assert {len(p) for p in pad([b"abc", b"d"])} == {3}


def test_the_same_picture_on_both_sides_is_refused(database, cells, tmp_path):
    shutil.copytree(cells.real.root, tmp_path / "copies")
    with pytest.raises(InputError, match="same picture"):
        create_session(database, "t", cells.real, read_manifest(tmp_path / "copies"), Settings(12, 12), seed=0)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (Settings(13, 3), "has 12 real images"),
        (Settings(3, 3, cell_types=("blast",)), "is not among the types"),
        (Settings(3, 3, repeated=7), "Repeated can be 0 to 6"),
        (Settings(3, 3, margin=0.5), "Margin can be"),
        (Settings(5, 5, primed=True, examples=3), "needs 13"),
        (Settings(0, 3), "Real_per_type"),
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_is_kept(database, cells, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        create_session(database, "t", cells.real, cells.synthetic, settings)
    assert list_sessions(database) == []


def test_each_reader_has_an_order_and_ids_of_his_own(database, session_id):
    for _ in range(2):
        invite_reader(database, session_id)
    with database.reading() as rows:
        items = rows.scalars(sa.select(Item).order_by(Item.position)).all()
    orders: dict[str, list[str]] = {}
    for item in items:
        orders.setdefault(item.reader_id, []).append(item.image_id)
    first, second = orders.values()
    assert sorted(set(first)) == sorted(set(second))
    assert first != second
    assert len(first) == 22
    assert len({item.id for item in items}) == 44
    assert [r.label for r in list_readers(database, session_id)] == ["Reader 1", "Reader 2"]


def test_repeats_come_late_and_half_of_each_kind():
    images = [(f"i{k}", "real" if k % 2 else "synthetic") for k in range(30)]
    for seed in range(50):
        order = draw_order(images, 6, np.random.default_rng(seed))
        twice = [image for image, repeat in order if repeat]
        assert len(order) == 36
        assert len(set(twice)) == 6
        for image in twice:
            assert order.index((image, True)) - order.index((image, False)) >= 10
        assert abs(sum(dict(images)[i] == "real" for i in twice) - 3) <= 1


def test_the_same_seed_draws_the_same_images_and_orders(database, cells):
    drawn = []
    for _ in range(2):
        one = create_session(database, "t", cells.real, cells.synthetic, Settings(3, 3, repeated=4), seed=5)
        reader = invite_reader(database, one).reader_id
        with database.reading() as rows:
            wanted = sa.select(CellImage.truth, CellImage.source).join(Item, Item.image_id == CellImage.id)
            drawn.append(rows.execute(wanted.where(Item.reader_id == reader).order_by(Item.position)).all())
    assert drawn[0] == drawn[1]


def sign(database, session_id):
    invitation = invite_reader(database, session_id)
    return invitation, reading.sign_in(database, invitation.token)


def test_an_answer_is_kept_once_and_the_last_one_counts(database, session_id):
    _, reader = sign(database, session_id)
    cell = reading.show_item(database, reader, 1, 0)
    assert cell.answer == Answer()
    reading.save_answer(database, reader, cell.id, Answer("real"), "k1")
    reading.save_answer(database, reader, cell.id, COMPLETE, "k2")
    reading.save_answer(database, reader, cell.id, Answer("real"), "k1")  # sent again after a lost connection
    assert reading.show_item(database, reader, 1, 0).answer == COMPLETE
    progress = reading.progress(database, reader)
    assert progress.done[1][:2] == [True, False]
    assert progress.next_open(1) == 1
    assert progress.next_open(1, 21) == 21


def test_answers_cannot_be_changed_or_deleted(database, session_id):
    _, reader = sign(database, session_id)
    reading.save_answer(database, reader, reading.show_item(database, reader, 1, 0).id, COMPLETE, "k")
    for statement in ("UPDATE answer SET verdict = 'synthetic'", "DELETE FROM answer"):
        with pytest.raises(sa.exc.IntegrityError, match="append-only"), database.writing() as rows:
            rows.execute(sa.text(statement))


@pytest.mark.parametrize(
    "wrong",
    [
        Answer("maybe"),
        Answer("real", 9),
        Answer("real", 1, "basophil"),
        Answer(quality=0),
        Answer(checklist={"granules": "many"}),
        Answer(checklist={"tail": "typical"}),
        Answer(remark="x" * 2001),
        Answer(seconds=float("nan")),
    ],
)
def test_an_answer_that_was_not_offered_is_refused(database, session_id, wrong):
    _, reader = sign(database, session_id)
    with pytest.raises(InputError):
        reading.save_answer(database, reader, reading.show_item(database, reader, 1, 0).id, wrong, "k")


def test_a_reader_reaches_nothing_of_another(database, session_id):
    _, one = sign(database, session_id)
    _, other = sign(database, session_id)
    foreign = reading.show_item(database, other, 1, 0).id
    with pytest.raises(reading.NotFound):
        reading.picture(database, one, foreign)
    with pytest.raises(reading.NotFound):
        reading.save_answer(database, one, foreign, COMPLETE, "k")
    with database.reading() as rows:
        image = rows.scalars(sa.select(CellImage.id)).first()
    with pytest.raises(reading.NotFound):
        reading.example_picture(database, one, image)
    with pytest.raises(reading.NotFound):
        reading.show_item(database, one, 1, 99)


def test_a_withdrawn_or_renewed_link_is_dead_and_the_answers_stay(database, session_id):
    invitation, reader = sign(database, session_id)
    item = reading.show_item(database, reader, 1, 0).id
    reading.save_answer(database, reader, item, COMPLETE, "k")
    renewed = sessions.renew_link(database, session_id, reader.reader_id)
    with pytest.raises(reading.NotFound):
        reading.sign_in(database, invitation.token)
    assert reading.progress(database, reading.sign_in(database, renewed.token)).done[1][0]
    sessions.withdraw_link(database, session_id, reader.reader_id)
    with pytest.raises(reading.NotFound):
        reading.sign_in(database, renewed.token)
    with pytest.raises(reading.NotFound):
        reading.save_answer(database, reader, item, COMPLETE, "k2")
    assert [(r.active, r.answered) for r in list_readers(database, session_id)] == [(False, 1)]


def test_a_closed_session_takes_nothing(database, session_id):
    invitation, reader = sign(database, session_id)
    item = reading.show_item(database, reader, 1, 0).id
    sessions.close_session(database, session_id)
    with pytest.raises(reading.Closed):
        reading.save_answer(database, reader, item, COMPLETE, "k")
    again = reading.sign_in(database, invitation.token)
    assert again.closed
    with pytest.raises(reading.Closed):
        reading.picture(database, again, item)
    with pytest.raises(InputError, match="closed"):
        invite_reader(database, session_id)


def test_the_primed_round_opens_after_the_first_and_ends_it(database, cells):
    settings = Settings(2, 2, primed=True, examples=1)
    made = create_session(database, "primed", cells.real, cells.synthetic, settings, seed=2)
    invitation, reader = sign(database, made)
    with pytest.raises(reading.NotFound):
        reading.show_item(database, reader, 2, 0)
    with pytest.raises(reading.Closed, match="every cell of the first"):
        reading.open_primer(database, reader)
    with pytest.raises(reading.NotFound):
        reading.examples(database, reader)
    for position in range(12):
        reading.save_answer(database, reader, reading.show_item(database, reader, 1, position).id, COMPLETE, "k")
    reading.open_primer(database, reader)
    first = reading.show_item(database, reader, 1, 0).id
    reader = reading.sign_in(database, invitation.token)
    assert reader.round == 2
    shown = reading.examples(database, reader)
    assert sorted((e.cell_type, e.truth) for e in shown) == [
        (name, truth) for name in ("lymphocyte", "monocyte", "platelet") for truth in ("real", "synthetic")
    ]
    assert reading.example_picture(database, reader, shown[0].image_id).startswith(b"\xff\xd8")
    with pytest.raises(reading.Closed, match="first round is over"):
        reading.save_answer(database, reader, first, replace(COMPLETE, verdict="synthetic"), "k9")
    reading.save_answer(database, reader, reading.show_item(database, reader, 2, 0).id, COMPLETE, "k")
    sources = [{c[2] for c in contents(database, made, number)} for number in (0, 1, 2)]
    assert len(set.union(*sources)) == sum(map(len, sources)), "each round has cells of its own"
