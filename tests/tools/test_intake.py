"""What a file is taken for, and what is refused."""

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from agent.simulated.bench_runs import write_run
from agent.simulated.brackets import write_bracket
from agent.simulated.conveyor import encode
from agent.simulated.flanges import write_flange
from knowledge import AssetError, Modality, Product
from tools.intake import ALL_MODALITIES, load_asset, modality_of


def png(bits: int = 8) -> bytes:
    if bits == 16:
        return bytes(imagecodecs.png_encode(np.full((20, 20), 900, np.uint16)))
    buffer = io.BytesIO()
    Image.fromarray(np.full((20, 20, 3), 90, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def npy(*shape: int) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(0).normal(size=shape).astype(np.float32))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("files")
    frames = [np.full((32, 48, 3), 40 * number, np.uint8) for number in range(4)]
    return {
        "image": png(),
        "depth": write_flange(folder / "a.png", 0).read_bytes(),
        "point_cloud": write_bracket(folder / "a.ply", 0).read_bytes(),
        "time_series": write_run(folder / "a.csv", 0).read_bytes(),
        "video": encode(folder / "a.mp4", frames, 5).read_bytes(),
    }


@pytest.mark.parametrize("modality", ALL_MODALITIES)
def test_a_file_is_known_by_its_content_whatever_it_is_called(contents, modality: Modality) -> None:
    assert modality_of(contents[modality], "file.bin", (modality,)) == modality
    others = [each for each in ALL_MODALITIES if each != "depth" or modality == "depth"]
    assert modality_of(contents[modality], "file.bin", others) == modality


def test_sixteen_bits_are_a_picture_or_a_height_map_as_the_product_says() -> None:
    assert modality_of(png(16), "a.png", ("image",)) == "image"
    assert modality_of(png(16), "a.png", ("depth",)) == "depth"
    assert modality_of(png(16), "a.png", ("image", "depth")) == "depth"
    assert modality_of(png(8), "a.png", ("image", "depth")) == "image"


@pytest.mark.parametrize("modality", ALL_MODALITIES)
def test_what_the_product_is_not_inspected_by_is_refused_and_named(contents, modality: Modality) -> None:
    allowed: tuple[Modality, ...] = ("time_series",) if modality != "time_series" else ("video",)
    with pytest.raises(AssetError, match=rf"^part\.x: is of .*the product is inspected by {allowed[0]}; add it to"):
        modality_of(contents[modality], "part.x", allowed)


def test_what_is_of_no_kind_is_refused(contents) -> None:
    with pytest.raises(AssetError, match=r"^a\.bin: is of no known kind; expected one of: video, depth$"):
        modality_of(b"\x00\x01\x02nothing", "a.bin", ("video", "depth"))


@pytest.mark.parametrize(
    ("content", "allowed", "sentence"),
    [
        (b"a,b\n", "time_series", "number|row"),
        (b"name\nbolt\nnut\n", "time_series", "number"),
        (b"\x93NUMPY\x01\x00\x40\x00" + b"(" * 64, "point_cloud", "npy|read|header"),
        (b"\x93NUMPY\x01\x00\xb8\x0b" + b"-" * 3000, "time_series", "read|header"),
        (png(8), "depth", "16 bits"),
    ],
)
def test_of_one_modality_its_reader_says_what_is_wrong(tmp_path: Path, content, allowed, sentence) -> None:
    path = tmp_path / "part.x"
    path.write_bytes(content)
    with pytest.raises(AssetError, match=rf"^part\.x: .*({sentence})"):
        load_asset(path, Product(name="p", description="d", modality=allowed))


def test_an_array_that_could_be_two_things_is_not_guessed_at() -> None:
    with pytest.raises(AssetError, match=r"say in product\.yaml which"):
        modality_of(npy(300, 4), "a.npy", ("point_cloud", "time_series"))
    assert modality_of(npy(300, 4), "a.npy", ("time_series",)) == "time_series"


def test_an_asset_says_what_is_in_it(contents, tmp_path: Path) -> None:
    path = tmp_path / "run\x1b[31m.csv"
    path.write_bytes(contents["time_series"])
    loaded = load_asset(path, Product(name="p", description="d", modality="time_series"), asset_id="a3")
    assert (loaded.asset.id, loaded.asset.modality, loaded.asset.name) == ("a3", "time_series", "run?[31m.csv")
    assert loaded.asset.facts["samples"] == 600
    assert loaded.content == contents["time_series"]
