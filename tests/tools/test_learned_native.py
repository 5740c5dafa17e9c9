"""Learning products of other modalities than pictures, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from agent.simulated.flanges import write_flange
from evals.simulated import write_plates
from knowledge import AssetError, FittedPartError, Product
from tools.assets import Limits
from tools.learned import LearnedProducts
from tools.learned_native import embedding_of
from tools.localization import LocalizerSettings

SMALL = LocalizerSettings(areas=(64 * 64,), memory_size=30)
FLANGE = Product(
    name="flange", description="Heights.", modality="depth", unit="mm", pixel_size=0.25, height_per_count=0.001
)


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("maps")
    return [write_flange(folder / f"{seed}.png", seed) for seed in range(4)]


@pytest.fixture
def products(tmp_path: Path) -> LearnedProducts:
    return LearnedProducts(tmp_path / "home")


@pytest.fixture(scope="module")
def home(maps, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learned")
    LearnedProducts(folder).learn(FLANGE, maps)
    return folder


@pytest.fixture
def learned(home, tmp_path: Path) -> LearnedProducts:
    shutil.copytree(home, tmp_path / "home")
    return LearnedProducts(tmp_path / "home")


def fitted(products: LearnedProducts) -> Path:
    return products.catalog.root.parent / "models" / "flange" / "depth"


def test_a_product_of_height_maps_comes_back_from_disk_as_it_was(learned, maps) -> None:
    again = LearnedProducts(learned.catalog.root.parent).get("flange")
    known = learned.get("flange").native("depth")
    assert again.modalities == ("depth",)
    assert again.localizer is None
    assert again.native("depth").tensors_sha256 == known.tensors_sha256
    part = again.native("depth").kit.read(maps[0].read_bytes(), "a.png", FLANGE, Limits())
    ours, theirs = (each.localizer.localize(part) for each in (known, again.native("depth")))
    assert np.array_equal(ours.values, theirs.values)
    assert known.localizer.calibration.count == 4
    assert len(again.native_references["depth"]) == 4


def test_what_was_not_learned_is_named(learned) -> None:
    known = learned.get("flange")
    with pytest.raises(FittedPartError, match="learned without pictures"):
        _ = known.images
    with pytest.raises(FittedPartError, match="learned without any video"):
        known.native("video")


def test_the_nearest_reference_of_a_reference_is_itself(learned, maps) -> None:
    known = learned.get("flange")
    native = known.native("depth")
    view = native.kit.render(native.kit.read(maps[2].read_bytes(), "a.png", FLANGE, Limits()), native.localizer)[0]
    match = known.native_references["depth"].search(embedding_of(view.pixels), 1)[0]
    assert match.similarity == pytest.approx(1, abs=1e-5)
    assert (known.folder / match.item.path).read_bytes() == maps[2].read_bytes()


def test_how_files_are_read_must_not_change_behind_what_was_learned(learned) -> None:
    learned.catalog.write(FLANGE.model_copy(update={"height_per_count": 1.0}))
    with pytest.raises(FittedPartError, match=r"height_per_count.*has changed since it was learned; enroll it again"):
        learned.get("flange")


def test_references_that_changed_since_are_refused(learned) -> None:
    folder = learned.catalog.folder("flange") / "references" / "normal"
    next(iter(folder.iterdir())).unlink()
    with pytest.raises(FittedPartError, match="have changed since it was learned"):
        learned.get("flange")


@pytest.mark.parametrize("damage", ["about", "embeddings"])
def test_damaged_fitted_parts_are_refused(learned, damage) -> None:
    from tools.fitted import load_fitted, save_fitted

    parts = load_fitted(fitted(learned), "depth", 1)
    if damage == "about":
        parts.about.pop("memory_parts")
    else:
        parts.tensors["reference_embeddings"] = parts.tensors["reference_embeddings"][:2]
    save_fitted(fitted(learned), "depth", 1, parts.tensors, parts.about)
    with pytest.raises(FittedPartError, match=r"'flange' cannot be inspected with: .*damaged; enroll"):
        learned.get("flange")


def test_learning_another_modality_forgets_the_first(learned, tmp_path) -> None:
    plates = FLANGE.model_copy(update={"modality": ("image",)})
    learned.learn(plates, write_plates(tmp_path / "plates", 3), settings=SMALL)
    known = learned.get("flange")
    assert known.modalities == ("image",)
    assert not (fitted(learned) / "fitted.json").exists()
    assert len(known.references) == 3


def test_two_modalities_are_learned_side_by_side(products, maps, tmp_path) -> None:
    both = FLANGE.model_copy(update={"modality": ("image", "depth")})
    known = products.learn(both, [*maps, *write_plates(tmp_path / "plates", 3)], settings=SMALL)
    assert known.modalities == ("image", "depth")
    assert (len(known.references), len(known.native_references["depth"])) == (3, 4)


def test_a_damaged_file_leaves_what_was_learned_untouched(learned, maps, tmp_path) -> None:
    before = learned.get("flange").native("depth").tensors_sha256
    broken = tmp_path / "broken.png"
    broken.write_bytes(maps[0].read_bytes()[:3000])
    with pytest.raises(AssetError, match=r"broken\.png"):
        learned.learn(FLANGE, [*maps[:2], broken])
    assert learned.get("flange").native("depth").tensors_sha256 == before
