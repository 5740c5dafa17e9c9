"""A folder of pictures as a video: its order, its times, its one file, and what is refused."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from knowledge import AssetError, Product
from tools.assets import Limits
from tools.decoding.frames import MAGIC, Picture, decode_frames, moments_of, number_of, pack, times_of, unpack
from tools.intake import as_file, asset_content, load_asset
from tools.motion import is_frame_folder, pack_folder, read_frames

PRODUCT = Product(name="belt", description="A belt.", modality="video", sample_rate=5)


def square_at(x: int, height: int = 48) -> np.ndarray:
    frame = np.full((height, 64, 3), 60, np.uint8)
    frame[16:32, x : x + 16] = 220
    return frame


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def folder_of(path: Path, names: list[str]) -> Path:
    path.mkdir()
    for number, name in enumerate(names):
        (path / name).write_bytes(png(square_at(4 * number)))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight pictures, which do not stand in order where they are sorted by letters."""
    return folder_of(tmp_path / "run", [f"part_{number}.png" for number in range(4, 12)])


def test_a_folder_of_numbered_pictures_is_a_video(folder: Path) -> None:
    loaded = load_asset(folder, PRODUCT)
    video = loaded.native
    assert (loaded.asset.modality, loaded.asset.name) == ("video", "run")
    np.testing.assert_allclose(video.times, np.arange(8) / 5)
    np.testing.assert_allclose(video.lags, [0, *[0.2] * 7])
    np.testing.assert_array_equal(video.frames[3], square_at(12))
    np.testing.assert_array_equal(video.earlier[3], np.where(square_at(8)[..., 0] == 60, 60, 220))
    assert (video.width, video.height, video.total, video.codec) == (64, 48, 8, "pictures")
    assert video.rate == pytest.approx(5)
    assert not video.doubts


def test_what_was_stored_of_it_is_read_as_the_folder_was(folder: Path, tmp_path: Path) -> None:
    loaded = load_asset(folder, PRODUCT)
    stored = tmp_path / "stored.bin"
    stored.write_bytes(loaded.content)
    again = load_asset(stored, PRODUCT)
    assert again.asset.sha256 == loaded.asset.sha256
    np.testing.assert_array_equal(again.native.frames, loaded.native.frames)


def test_the_content_is_that_of_names_and_pictures_alone(folder: Path, tmp_path: Path) -> None:
    content = asset_content(folder)
    folder.rename(tmp_path / "moved")
    (tmp_path / "moved" / "part_4.png").touch()
    (tmp_path / "moved" / ".DS_Store").write_bytes(b"x")
    assert asset_content(tmp_path / "moved") == content
    (tmp_path / "moved" / "part_11.png").rename(tmp_path / "moved" / "part_12.png")
    assert asset_content(tmp_path / "moved") != content


def test_a_packed_folder_is_a_file_that_can_be_kept(folder: Path, tmp_path: Path) -> None:
    packed = as_file(folder, tmp_path)
    assert packed.suffix == ".frames"
    assert packed.read_bytes() == asset_content(folder)
    assert as_file(packed, tmp_path) == packed


@pytest.mark.parametrize(
    ("names", "times"),
    [
        (["a_20240101T120000.250.png", "a_20240101T120000.500.png", "a_20240101T120001.png"], [0, 0.25, 0.75]),
        (["2024-01-01_12-00-00-000001.png", "2024-01-01_12-00-02.png"], [0, 1.999999]),
        (["1704110400.5.jpg", "1704110401.25.jpg"], [0, 0.75]),
        (["cam1704110400500.jpg", "cam1704110401250.jpg"], [0, 0.75]),
        (["1.png", "2.png", "4.png"], [0, 0.2, 0.6]),
        (["f_000.png", "f_010.png", "f_020.png"], [0, 0.2, 0.4]),
        (["20240101_120000_1.png", "20240101_120000_2.png", "20240101_120001_3.png"], [0, 0.2, 0.4]),
    ],
)
def test_times_stand_in_the_names_or_follow_from_the_numbers(names: list[str], times: list[float]) -> None:
    np.testing.assert_allclose(times_of(names, 5), times, atol=1e-9)


def test_pictures_stand_in_the_order_of_their_times_whatever_their_names_begin_with(tmp_path: Path) -> None:
    names = ["z_20240101T120000.png", "a_20240101T120001.png", "m_20240101T120002.png"]
    assert [picture.name for picture in unpack(pack_folder(folder_of(tmp_path / "r", names), Limits()))] == names


def test_times_in_the_names_are_used_even_where_a_rate_is_given(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "r", [f"{1704110400 + number}.png" for number in range(4)])
    video = load_asset(folder, PRODUCT).native
    np.testing.assert_allclose(video.times, np.arange(4))
    assert "the pictures' own times say 1 a second, not the 5 that were given; they are used" in video.notes
    without = load_asset(folder, PRODUCT.model_copy(update={"sample_rate": None})).native
    np.testing.assert_allclose(without.times, np.arange(4))


def test_without_times_or_a_rate_it_is_said_how_to_give_it(folder: Path) -> None:
    with pytest.raises(
        AssetError, match=r"^run: .*names give no times; give `sample_rate`, pictures a second, in product"
    ):
        load_asset(folder, PRODUCT.model_copy(update={"sample_rate": None}))


def test_of_many_pictures_some_are_looked_at_evenly(folder: Path) -> None:
    video = read_frames(asset_content(folder), "run", rate=20, most_frames=4)
    assert video.numbers.tolist() == [0, 2, 5, 7]
    np.testing.assert_allclose(video.lags, [0, 0.1, 0.2, 0.2])
    np.testing.assert_array_equal(video.earlier[3][:, 12], square_at(12)[:, 12, 0])
    assert video.notes[0] == "4 of 8 frames were looked at, evenly in time"


def test_pictures_of_16_bits_do_not_flicker(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    for number, level in enumerate((1000, 2000, 3000)):
        counts = np.full((32, 32), 1000, np.uint16)
        counts[:16], counts[24:] = 5000, level
        Image.fromarray(counts).save(tmp_path / "r" / f"{number}.png")
    frames = load_asset(tmp_path / "r", PRODUCT).native.frames
    assert frames[:, 20, 5, 0].tolist() == [0, 0, 0]
    assert frames[:, 28, 5, 0].tolist() == [0, 64, 128]


def _link(folder: Path) -> None:
    (folder / "part_12.png").symlink_to(folder / "part_4.png")


def _smaller(folder: Path) -> None:
    (folder / "part_7.png").write_bytes(png(square_at(0, 40)))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / "part_99.txt").write_text("note"), "part_99.txt is no picture"),
        (lambda folder: (folder / "more").mkdir(), "more is no regular file"),
        (_link, "part_12.png is no regular file"),
        (lambda folder: (folder / "part_007.png").write_bytes(png(square_at(0))), "have the same number"),
        (lambda folder: (folder / "cover.png").write_bytes(png(square_at(0))), "cover.png: has no number"),
        (lambda folder: [(folder / f"part_{number}.png").unlink() for number in range(5, 12)], "holds 1 files"),
        (_smaller, "part_7.png: is 64 x 40 pixels, the first picture 64 x 48"),
        (
            lambda folder: (folder / "part_6.png").write_bytes(png(square_at(0))[:60]),
            "part_6.png: the PNG data is damaged",
        ),
    ],
)
def test_what_is_no_video_is_refused_and_named(folder: Path, spoil: Callable[[Path], object], sentence: str) -> None:
    spoil(folder)
    with pytest.raises(AssetError, match=rf"run: .*{sentence}"):
        load_asset(folder, PRODUCT)


def test_limits_are_those_of_other_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssetError, match="larger than 500 bytes together"):
        load_asset(folder, PRODUCT, Limits(max_bytes=500))
    with pytest.raises(AssetError, match="more than the limit of 1000"):
        load_asset(folder, PRODUCT, Limits(max_pixels=1000))
    monkeypatch.setattr("tools.motion.frame_folder.MOST_PICTURES", 7)
    with pytest.raises(AssetError, match="holds 8 files; a video has 2 to 7"):
        load_asset(folder, PRODUCT)


def test_other_folders_are_no_video(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "1.csv").write_text("a\n1\n")
    assert is_frame_folder(folder)
    for other in (tmp_path / "empty", tmp_path / "text", tmp_path / "gone", folder / "part_4.png"):
        assert not is_frame_folder(other)
    with pytest.raises(AssetError, match="is a folder; name the files inside it"):
        load_asset(tmp_path / "text", PRODUCT)
    with pytest.raises(AssetError, match="is a folder; name the files inside it"):
        load_asset(folder, PRODUCT.model_copy(update={"modality": ("image",)}))


def test_names_say_when_a_picture_was_taken_only_where_all_do() -> None:
    assert moments_of(["20240101T120000.png", "7.png"]) is None
    assert moments_of(["20241301T120000.png", "20240101T120000.png"]) is None
    assert moments_of(["0000000001.png", "0000000002.png"]) is None
    assert number_of("cam2_frame_0017.png") == 17
    with pytest.raises(AssetError, match="do not rise"):
        times_of(["2.png", "1.png"], 5)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_a_damaged_file_is_refused(tail: bytes) -> None:
    with pytest.raises(AssetError, match="list of pictures"):
        unpack(MAGIC + tail)


@given(st.integers(0, 400), st.integers(0, 255))
@settings(max_examples=100, deadline=None)
def test_a_changed_byte_never_does_more_than_refuse(position: int, value: int) -> None:
    content = bytearray(pack([Picture(f"{number}.png", png(square_at(number))) for number in range(3)]))
    content[position % len(content)] = value
    try:
        decode_frames(bytes(content), most_frames=600, rate=5, max_pixels=10_000, min_side=16)
    except AssetError:
        return


def test_what_was_packed_comes_back() -> None:
    pictures = [Picture("1 \n.png", b"\n12\n"), Picture("ü2.png", bytes(1000))]
    assert unpack(pack(pictures)) == pictures
    with pytest.raises(AssetError, match="does not match"):
        unpack(pack(pictures)[:-1])
