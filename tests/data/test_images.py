from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from syntheticcellgan.data.images import is_image_file, read_image, read_thumbnail, resize_square
from syntheticcellgan.errors import InputError

ROSE, VIOLET = (240, 180, 170), (90, 40, 140)


def two_halves(mode: str = "RGB", size: tuple[int, int] = (40, 24)) -> Image.Image:
    """Left half rose, right half violet."""
    image = Image.new("RGB", size, ROSE)
    image.paste(VIOLET, (size[0] // 2, 0, *size))
    return image.convert(mode)


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and holds next to no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "webp", "ppm"])
def test_lossless_formats_are_read_exactly(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cell.{suffix}"
    two_halves().save(path, lossless=True)
    image = read_image(path)
    assert image.shape == (24, 40, 3)
    assert image.dtype == np.uint8
    assert tuple(image[0, 0]) == ROSE
    assert tuple(image[0, -1]) == VIOLET


def test_grey_gets_three_equal_channels(tmp_path: Path) -> None:
    two_halves("L").save(tmp_path / "grey.png")
    image = read_image(tmp_path / "grey.png")
    assert image.shape == (24, 40, 3)
    assert (image == image[..., :1]).all()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_scaled_to_8(tmp_path: Path, suffix: str) -> None:
    values = np.full((20, 30), 65_535, np.uint16)
    values[:, :10] = 0
    values[:, 10:20] = 32_896  # 128 · 257
    Image.fromarray(values).save(tmp_path / f"deep.{suffix}")
    assert read_image(tmp_path / f"deep.{suffix}")[0, [0, 15, 29], 0].tolist() == [0, 128, 255]


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[:, 10:] = (*VIOLET, 255)
    pixels[:, 5:10] = (0, 0, 0, 128)
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    image = read_image(tmp_path / "clear.png")
    assert tuple(image[0, 0]) == (255, 255, 255)
    assert tuple(image[0, 15]) == VIOLET
    assert abs(int(image[0, 7, 0]) - 127) <= 1


def test_palette_with_and_without_transparency(tmp_path: Path) -> None:
    image = two_halves("P")
    image.save(tmp_path / "plain.png")
    assert np.abs(read_image(tmp_path / "plain.png")[0, -1].astype(int) - VIOLET).max() < 40
    index = image.getpixel((0, 0))
    image.save(tmp_path / "clear.png", transparency=index)
    assert tuple(read_image(tmp_path / "clear.png")[0, 0]) == (255, 255, 255)


def test_cmyk_jpeg_keeps_its_colours(tmp_path: Path) -> None:
    two_halves("CMYK").save(tmp_path / "print.jpg", quality=95)
    image = read_image(tmp_path / "print.jpg").astype(int)
    assert np.abs(image[5, 5] - ROSE).max() < 12
    assert np.abs(image[5, -5] - VIOLET).max() < 12


def test_black_and_white(tmp_path: Path) -> None:
    two_halves("1").save(tmp_path / "bw.png")
    assert set(np.unique(read_image(tmp_path / "bw.png"))) <= {0, 255}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    image = two_halves()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "turned.png", exif=exif)
    # The stored left half is shown on: left, right, right, left, top, top, bottom, bottom.
    shown = read_image(tmp_path / "turned.png")
    assert shown.shape == ((24, 40, 3) if orientation <= 4 else (40, 24, 3))
    corner = {1: (0, 0), 2: (0, -1), 3: (0, -1), 4: (0, 0), 5: (0, 0), 6: (0, 0), 7: (-1, 0), 8: (-1, 0)}[orientation]
    assert tuple(shown[corner]) == ROSE


def test_srgb_profile_changes_nothing(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    two_halves().save(tmp_path / "srgb.png", icc_profile=profile)
    assert tuple(read_image(tmp_path / "srgb.png")[0, 0]) == ROSE


def test_other_profile_is_converted_and_a_broken_one_passed_over(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (lab, b"no profile at all"):
        two_halves().save(tmp_path / "odd.png", icc_profile=profile)
        assert tuple(read_image(tmp_path / "odd.png")[0, 0]) == ROSE
    grey = Image.new("L", (20, 20), 128)
    linear = ImageCms.ImageCmsProfile(io.BytesIO(linear_grey_profile())).tobytes()
    grey.save(tmp_path / "linear.png", icc_profile=linear)
    # Half of the light, linearly encoded, is 188 in sRGB.
    assert abs(int(read_image(tmp_path / "linear.png")[0, 0, 0]) - 188) <= 2


def linear_grey_profile() -> bytes:
    """A minimal ICC grey profile with gamma 1 (ICC.1:2010, 7.2 and 8.3)."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    curve = b"curv\0\0\0\0" + struct.pack(">I", 0)
    text = b"desc\0\0\0\0" + struct.pack(">I", 7) + b"linear\0" + b"\0" * 78
    tags, body = [], b""
    for name, data in ((b"desc", text), (b"wtpt", white), (b"kTRC", curve)):
        data += b"\0" * (-len(data) % 4)
        tags.append((name, 128 + 4 + 36 + len(body), len(data)))
        body += data
    table = struct.pack(">I", len(tags)) + b"".join(struct.pack(">4sII", *tag) for tag in tags)
    size = 128 + len(table) + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02100000, b"mntr", b"GRAY", b"XYZ ")
    header += struct.pack(
        ">6H4s4sI4s4sQI3i", 2020, 1, 1, 0, 0, 0, b"acsp", b"\0" * 4, 0, b"\0" * 4, b"\0" * 4, 0, 0, 63190, 65536, 54061
    )
    return header.ljust(128, b"\0") + table + body


def test_truncated_jpeg(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(buffer, "JPEG")
    path = tmp_path / "cut.jpg"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    for read in (read_image, lambda file: read_thumbnail(file, 16)):
        with pytest.raises(InputError, match=r"cut\.jpg is damaged"):
            read(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_random_damage_never_ends_in_another_error(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    two_halves("RGBA" if suffix in ("png", "tif") else "RGB").save(tmp_path / f"good.{suffix}", exif=exif)
    good = (tmp_path / f"good.{suffix}").read_bytes()
    rng = np.random.default_rng(0)
    complaints = []
    for _ in range(150):
        damaged = bytearray(good)
        for place in rng.integers(0, min(len(good), 400), 4):
            damaged[place] = rng.integers(256)
        (tmp_path / f"bad.{suffix}").write_bytes(damaged)
        try:
            read_image(tmp_path / f"bad.{suffix}")
        except InputError as error:
            complaints.append(str(error))
    assert len(complaints) > 20
    assert all(f"bad.{suffix}" in complaint for complaint in complaints)


@pytest.mark.parametrize("content", [b"not an image, only text\n" * 20, b""])
def test_text_named_png(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "note.png").write_bytes(content)
    with pytest.raises(InputError, match=r"note\.png is not an image"):
        read_image(tmp_path / "note.png")


@pytest.mark.parametrize("side", [30_000, 9_000])
def test_huge_image_is_refused_before_decoding(tmp_path: Path, side: int) -> None:
    (tmp_path / "huge.png").write_bytes(png_header(side, side))
    # Were it decoded, the missing data would be the complaint.
    with pytest.raises(InputError, match=r"huge\.png has .*million"):
        read_image(tmp_path / "huge.png")


@pytest.mark.parametrize("size", [(1, 1), (15, 300)])
def test_tiny_image(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size).save(tmp_path / "dot.png")
    with pytest.raises(InputError, match=r"dot\.png has .* at least 16×16"):
        read_image(tmp_path / "dot.png")


def test_smallest_allowed(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "small.png")
    assert read_image(tmp_path / "small.png").shape == (16, 16, 3)


def test_stack_of_images(tmp_path: Path) -> None:
    two_halves().save(tmp_path / "stack.tif", save_all=True, append_images=[two_halves()])
    with pytest.raises(InputError, match=r"stack\.tif holds several images"):
        read_image(tmp_path / "stack.tif")


def test_floating_point_and_32_bit(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 20), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(InputError, match=r"float\.tif has floating-point pixels"):
        read_image(tmp_path / "float.tif")
    Image.fromarray(np.full((20, 20), 100_000, np.int32)).save(tmp_path / "deep.tif")
    with pytest.raises(InputError, match=r"deep\.tif has 32-bit pixels"):
        read_image(tmp_path / "deep.tif")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(InputError, match="is a folder"):
        read_image(tmp_path)


def test_formats_that_start_programs_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n")
    with pytest.raises(InputError, match="is not an image"):
        read_image(tmp_path / "page.png")


def test_whole_number_reduction_is_the_block_mean() -> None:
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    small = resize_square(image, 16)
    mean = image.reshape(16, 4, 16, 4, 3).mean((1, 3))
    assert np.abs(small - mean).max() <= 1  # rounded twice, along each axis


def test_centre_square_is_taken() -> None:
    image = np.zeros((32, 64, 3), np.uint8)
    image[:, 16:48] = 200
    assert (resize_square(image, 32) == 200).all()
    assert (resize_square(image.transpose(1, 0, 2), 16) == 200).all()


def test_other_sizes_do_not_alias() -> None:
    stripes = np.zeros((101, 101, 3), np.uint8)
    stripes[:, ::2] = 255
    assert resize_square(stripes, 32)[:, 4:-4].std() < 12
    assert resize_square(stripes, 256).shape == (256, 256, 3)


def test_resizing_to_the_same_size_copies_nothing_else() -> None:
    image = np.random.default_rng(2).integers(0, 256, (20, 24, 3)).astype(np.uint8)
    assert (resize_square(image, 20) == image[:, 2:22]).all()


def test_thumbnail_of_jpeg_resembles_that_of_png(tmp_path: Path) -> None:
    image = Image.fromarray(
        np.kron(np.random.default_rng(3).integers(0, 256, (16, 16, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    )
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "a.jpg", quality=95)
    a, b = (read_thumbnail(tmp_path / name, 16).astype(int) for name in ("a.png", "a.jpg"))
    assert np.abs(a - b).max() <= 6


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.JPG", True), ("b.tiff", True), ("._a.jpg", False), ("Thumbs.db", False), ("a.gif", False)],
)
def test_image_file_names(name: str, expected: bool) -> None:
    assert is_image_file(name) is expected
