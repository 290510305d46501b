"""The attack list: what must not work."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib

import pytest
import sqlalchemy as sa
from tests.web.test_pages import archive

from syntheticcellgan.review import sessions
from syntheticcellgan.review.tables import AnswerRow, CellImage, Item

READER_PATHS = ("", "/cell/1/1", "/examples")
ORGANISER_PATHS = (
    "/",
    "/studio",
    "/studio/walk",
    "/studio/balance",
    "/studio/looks",
    "/runs",
    "/runs/new",
    "/reports",
    "/reports/new",
    "/sessions",
    "/sessions/new",
    "/sessions/{s}",
    "/sessions/{s}/results",
    "/sessions/{s}/judgements.csv",
)


def paths(site):
    reader = [f"/read/{site.token}{path}" for path in READER_PATHS]
    return [*reader, *(p.format(s=site.session) for p in ORGANISER_PATHS), "/static/style.css", "/enter", "/nowhere"]


def test_another_host_is_refused_on_every_route(site):
    for path in paths(site):
        for host in ("evil.example", "127.0.0.1", "127.0.0.1:8642.evil.example", "", "localhost:8642"):
            assert site.organiser.get(path, headers={"host": host}).status_code == 421, (path, host)
    refused = site.stranger.post(f"/read/{site.token}/cell/1/1", headers={"host": "evil.example"}, data={"key": "x"})
    assert refused.status_code == 421


def test_another_origin_cannot_write(site):
    fields = {"csrf": site.keys.csrf, "label": "Eve"}
    for headers in ({"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        for path in (f"/sessions/{site.session}/readers", f"/read/{site.token}/cell/1/1"):
            assert site.organiser.post(path, data=fields, headers=headers).status_code == 403


def test_no_form_without_its_token(site):
    for path in ("/sessions", f"/sessions/{site.session}/readers", f"/sessions/{site.session}/close"):
        for csrf in ("", "x", site.keys.cookie, sessions.hash_token(site.keys.csrf)):
            answer = site.organiser.post(path, data={"csrf": csrf, "title": "t"})
            assert answer.status_code == 403, path


def test_organiser_pages_are_shut_to_strangers_and_readers(site):
    for path in ORGANISER_PATHS:
        for cookie in (None, "x", site.keys.token, site.keys.csrf, site.token):
            headers = {} if cookie is None else {"cookie": f"scg_organiser={cookie}"}
            answer = site.stranger.get(path.format(s=site.session), headers=headers)
            assert answer.status_code == 403
            assert "Drawn" not in answer.text
    post = {"csrf": site.keys.csrf}
    assert site.stranger.post(f"/sessions/{site.session}/close", data=post).status_code == 403
    for token in ("", "x", site.keys.cookie, site.token):
        assert site.stranger.get(f"/enter?token={token}", follow_redirects=False).status_code == 403


def test_the_cookie_of_an_earlier_run_is_worth_nothing(site, folders):
    from fastapi.testclient import TestClient

    from syntheticcellgan.web.app import create_app
    from syntheticcellgan.web.safety import Keys

    other = TestClient(
        create_app(site.database, site.sources, {"127.0.0.1:8642"}, Keys()), base_url="http://127.0.0.1:8642"
    )
    assert other.get("/", headers={"cookie": f"scg_organiser={site.keys.cookie}"}).status_code == 403


@pytest.mark.parametrize("token", ["x", "..", "%2e%2e", "'; DROP TABLE answer; --", "a" * 500, "é", "%00"])
def test_a_forged_personal_link_opens_nothing(site, token):
    for path in READER_PATHS:
        # The client itself resolves the dots, to pages that are shut.
        assert site.stranger.get(f"/read/{token}{path}").status_code in (403, 404)


def test_a_withdrawn_link_that_is_replayed_opens_nothing(site):
    invitation = sessions.invite_reader(site.database, site.session, "Replayed")
    item = site.item(1, invitation.token)
    sessions.withdraw_link(site.database, site.session, invitation.reader_id)
    base = f"/read/{invitation.token}"
    for path in ("", "/cell/1/1", f"/picture/{item}"):
        assert site.stranger.get(base + path).status_code == 404
    answer = site.stranger.post(f"{base}/cell/1/1", data={"item": item, "key": "k", "verdict": "real"})
    assert answer.status_code == 404
    with site.database.reading() as rows:
        assert rows.scalar(sa.select(sa.func.count()).where(AnswerRow.item_id == item)) == 0


def test_a_reader_cannot_guess_images_items_or_results(site):
    other = sessions.invite_reader(site.database, site.session, "Other")
    with site.database.reading() as rows:
        images = rows.scalars(sa.select(CellImage.id).where(CellImage.session_id == site.session)).all()
        foreign = rows.scalars(sa.select(Item.id).where(Item.reader_id == other.reader_id)).all()
    for name in (*images, *foreign, "1", "%2e%2e%2f%2e%2e%2fetc%2fpasswd"):
        for kind in ("picture", "example"):
            assert site.stranger.get(f"/read/{site.token}/{kind}/{name}").status_code == 404
    for path in ("/cell/2/1", "/cell/0/1", "/cell/1/0", "/cell/1/999", "/results", "/examples"):
        assert site.stranger.get(f"/read/{site.token}{path}").status_code == 404, path
    kept = site.stranger.post(f"/read/{site.token}/cell/1/1", data={"item": foreign[0], "key": "k", "verdict": "real"})
    assert kept.status_code == 404


def test_nothing_that_a_reader_is_sent_tells_the_truth(site):
    """Two cells of one type, one real and one synthetic: the pages and answers are alike but for the random ids."""
    with site.database.reading() as rows:
        images = dict(rows.execute(sa.select(CellImage.id, CellImage.truth)).tuples().all())
        items = rows.execute(
            sa.select(Item.id, Item.image_id, Item.position, Item.repeat).order_by(Item.position)
        ).all()
        sources = rows.scalars(sa.select(CellImage.source)).all()
    known = {i.id: images[i.image_id] for i in items}
    seen: dict[str, set] = {"real": set(), "synthetic": set()}
    for position in range(3, 14):
        text = site.stranger.get(f"/read/{site.token}/cell/1/{position}").text
        item = re.search(r'name="item" value="([^"]+)"', text)[1]
        plain = re.sub(r'name="key" value="[^"]+"', "", text.replace(item, "ID"))
        seen[known[item]].add(re.sub(r"\d+", "N", plain))
        for secret in (*images, *sources):
            assert secret not in text
        picture = site.stranger.get(f"/read/{site.token}/picture/{item}")
        headers = {k: v for k, v in picture.headers.items() if k != "date"}
        seen[known[item]].add(tuple(sorted(headers.items())))
    assert seen["real"] == seen["synthetic"]


def test_every_answer_carries_the_headers(site):
    for path in paths(site):
        headers = site.organiser.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] in ("no-store", "no-cache")


def test_no_page_needs_what_the_policy_forbids(site):
    for path in paths(site)[:-2]:
        text = site.organiser.get(path).text
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|javascript:", text), path
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text), path


def test_traversal_finds_nothing(site):
    for path in ("/static/../safety.py", "/static/%2e%2e/safety.py", "/static/..%2fapp.py", "/static//etc/passwd"):
        assert site.organiser.get(path).status_code == 404
    for name in ("../../etc/passwd", "%2e%2e", "report.html/../../x", "room.sqlite"):
        assert site.organiser.get(f"/sessions/{site.session}/{name}").status_code in (404, 422)


def test_too_long_bodies_are_cut_off_while_they_stream(site):
    long = site.stranger.post(f"/read/{site.token}/cell/1/1", data={"remark": "x" * 300_000})
    assert long.status_code == 413
    sent = 0

    def stream():
        nonlocal sent
        for _ in range(1000):
            sent += 64 * 1024
            yield b"x" * 64 * 1024

    chunked = site.stranger.post(
        f"/read/{site.token}/cell/1/1",
        content=stream(),
        headers={"content-type": "application/x-www-form-urlencoded", "transfer-encoding": "chunked"},
    )
    assert chunked.status_code == 413


def upload(site, content: bytes):
    fields = {"csrf": site.keys.csrf, "title": "t", "synthetic": "1", "real_per_type": 1, "synthetic_per_type": 1}
    return site.organiser.post("/sessions", data=fields, files={"real_archive": ("<b>.zip", content)})


def huge_png(side: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no zip", "no zip archive"),
        ([("lymphocyte/a.png", b"\0" * 30_000_000)], "larger than an image"),
        ([("lymphocyte/a.png", huge_png(30_000))], "lymphocyte/a.png has more than 64 million pixels"),
        ([("a.png", b"x")], "no images in folders"),
        ([("!!!/a.png", b"x")], "no name that could be"),
        ([("lymphocyte/a.png", b"<script>")], "not an image"),
    ],
)
def test_hostile_archives_are_refused_with_a_sentence(site, content, sentence):
    if not isinstance(content, bytes):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, body in content:
                packed.writestr(name, body)
        content = buffer.getvalue()
    answer = upload(site, content)
    assert answer.status_code == 422
    assert sentence in answer.text


def test_html_and_paths_in_names_stay_text(site, folders, tmp_path):
    name = "../../../../<img src=x onerror=alert(1)>.png"
    picture = next(folders[0].rglob("*.png")).read_bytes()
    answer = upload(site, archive(folders[0], "../../", [(f"lymphocyte/{name}", picture)]))
    assert "<img src=x" not in answer.text
    told = site.post(f"/sessions/{site.session}/readers", label="<script>alert(1)</script>")
    page = site.organiser.get(told.headers["location"]).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_html_in_type_names_stays_text(studio_site, folders):
    picture = next(folders[0].rglob("*.png")).read_bytes()
    names = ("cells/<img src=x onerror=alert(1)>/a.png", "cells/platelet/one more.png")
    sent = {"data": ("x.zip", archive(folders[0], extra=[(name, picture) for name in names]))}
    page = studio_site.organiser.post("/studio/balance", data={"csrf": studio_site.keys.csrf, "bundle": 0}, files=sent)
    assert page.status_code == 200, page.text
    assert ">img src x onerror alert 1<" in page.text
    assert "<img" not in page.text
