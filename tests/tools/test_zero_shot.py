"""Judging by texts alone: a space of two colours in which the right answer is known, then a small network of open_clip."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_file
from torch import Tensor

from knowledge import FittedPartError, Product, ProductError
from tools.learned import LearnedProducts
from tools.localization import Localizer, LocalizerSettings, fit_zero_shot, noun_of, state_texts, zero_shot
from tools.localization.features import Features
from tools.localization.state_texts import StateTexts

GREEN, RED = (0, 200, 0), (200, 0, 0)
FLAWS = ("damaged", "with flaw", "with defect", "with damage")
TEMPERATURE = 10.0
TINY = LocalizerSettings(backbone="tiny-reader", weights="random", areas=(48 * 48, 64 * 64))


class Colours:
    """Reads flawless as green and damaged as red."""

    dim = 2
    width = 1
    temperature = TEMPERATURE

    def __init__(self, of_places: bool = True, of_pictures: bool = True) -> None:
        self.told: list[str] = []
        self.flaws_in = {"cropped": of_places, "close-up": of_places}
        self.of_pictures = of_pictures

    def encode(self, texts: Sequence[str]) -> Tensor:
        self.told += texts
        return torch.tensor([[0.0, 1.0] if self._flawed(text) else [1.0, 0.0] for text in texts])

    def _flawed(self, text: str) -> bool:
        known = next((value for word, value in self.flaws_in.items() if word in text), self.of_pictures)
        return known and any(flaw in text for flaw in FLAWS)


class Seeing:
    """A patch is the mean colour of eight by eight pixels, green against red, at strides 8 and 16."""

    name = "colours"
    weights_sha256 = "0"
    multiple = 16
    memory_layers = (0,)
    neighbourhood = 1
    notes: list[str] = []  # noqa: RUF012
    precision = "float32"

    def __init__(self, text: Colours | None = None) -> None:
        self.text = text or Colours()

    def preprocess(self, pixels: np.ndarray, area: int) -> Tensor:
        return torch.from_numpy(pixels / 255).permute(2, 0, 1).float()

    def as_texts(self, images: Tensor) -> Features:
        colours = images[:, [1, 0]]
        layers = (F.normalize(F.avg_pool2d(colours, stride), dim=1) for stride in (8, 16))
        return Features(tuple(layers), F.normalize(colours.mean((2, 3)), dim=1))


@pytest.fixture
def by_colours(monkeypatch):
    """A localiser by these colours."""

    def fit(text: Colours | None = None, noun: str = "plate", **changes: object) -> Localizer:
        monkeypatch.setattr(zero_shot, "load_backbone", lambda name, weights: Seeing(text))
        return fit_zero_shot(noun, LocalizerSettings(areas=(96 * 96,)).model_copy(update=changes))

    return fit


def painted(height: int, width: int, *squares: tuple[int, int, int]) -> np.ndarray:
    """Green, with red squares of (row, column, side)."""
    pixels = np.full((height, width, 3), GREEN, np.uint8)
    for row, column, side in squares:
        pixels[row : row + side, column : column + side] = RED
    return pixels


def test_what_equals_the_abnormal_text_is_found_and_all_else_equals_the_normal_one(by_colours) -> None:
    found = by_colours().localize(painted(96, 96, (32, 32, 48)))
    # A quarter is red, so that the picture is 3 parts green and 1 red.
    picture = TEMPERATURE * (1 - 3) / 10**0.5
    assert found.map[56, 56] == found.score == pytest.approx((TEMPERATURE + picture) / 2, rel=1e-5)
    assert found.map[4, 4] == pytest.approx((-TEMPERATURE + picture) / 2, rel=1e-5)
    assert found.map.shape == (96, 96)
    assert found.unlike == ()
    assert not found.unfamiliar


def test_states_that_mean_the_same_say_nothing(by_colours) -> None:
    found = by_colours(Colours(of_places=False, of_pictures=False)).localize(painted(96, 96, (32, 32, 48)))
    assert np.array_equal(found.map, np.zeros((96, 96), np.float32))


def test_places_and_pictures_have_texts_of_their_own(by_colours) -> None:
    pixels = painted(96, 96, (32, 32, 48))
    places = by_colours(Colours(of_pictures=False)).localize(pixels).map
    assert places[56, 56] == pytest.approx(TEMPERATURE / 2)
    assert places[4, 4] == pytest.approx(-TEMPERATURE / 2)
    pictures = by_colours(Colours(of_places=False)).localize(pixels).map
    np.testing.assert_allclose(pictures, -TEMPERATURE / 10**0.5, rtol=1e-5)


def test_how_bright_a_picture_is_changes_nothing(by_colours) -> None:
    pixels = painted(96, 96, (32, 32, 48))
    np.testing.assert_allclose(
        by_colours().localize(pixels // 2).map, by_colours().localize(pixels).map, rtol=1e-4, atol=1e-4
    )


def test_the_texts_are_all_different_and_about_the_thing(by_colours) -> None:
    text = Colours()
    by_colours(text, noun="metal nut")
    assert len(text.told) == len(set(text.told)) == 11 * 22
    assert all("metal nut" in told for told in text.told)
    assert "a close-up photo of the flawless metal nut." in text.told
    assert "a photo of a metal nut with defect for anomaly detection." in text.told


def test_a_state_is_the_mean_of_its_texts_of_length_one() -> None:
    class Corners(Colours):
        def encode(self, texts: Sequence[str]) -> Tensor:
            return torch.eye(4)[[len(text) % 2 + 2 * self._flawed(text) for text in texts]]

    tower = Corners()
    states = StateTexts.of("plate", tower)
    for sentences, found in ((state_texts._PLACES, states.places), (state_texts._PICTURES, states.picture)):
        for flawed, words in enumerate((state_texts._NORMAL, state_texts._ABNORMAL)):
            texts = [sentence.format(word.format("plate")) for sentence in sentences for word in words]
            odd = sum(len(text) % 2 for text in texts)
            expected = torch.zeros(4)
            expected[2 * flawed : 2 * flawed + 2] = F.normalize(torch.tensor([len(texts) - odd, odd]).float(), dim=0)
            torch.testing.assert_close(found[flawed], expected)


@pytest.mark.parametrize("size", [(16, 16), (48, 1600), (1600, 48), (112, 80), (832, 832)])
def test_pictures_may_have_any_size_and_large_ones_are_seen_in_tiles(by_colours, size) -> None:
    height, width = size
    side = min(height, width, 48)
    row, column = (height - side) // 16 * 16, (width - side) // 16 * 16
    found = by_colours(areas=(832 * 832,)).localize(painted(height, width, (row, column, side)))
    assert found.map.shape == size
    assert found.score == found.map.max() == found.map[row + side // 2, column + side // 2]
    if max(size) > 800:
        assert found.map[0, 0] == pytest.approx(found.score - TEMPERATURE, abs=1e-3)


def test_nothing_is_promised_and_it_says_that_nothing_was_seen(by_colours) -> None:
    localizer = by_colours()
    assert not localizer.calibration.promise(0.5).kept
    assert localizer.calibration.p_value(1e6) == 1.0
    assert localizer.scale == (0.0, 1.0)
    assert localizer.embeddings.shape == (0, 2)
    assert localizer.reservation == "no normal part was ever seen, only texts of a flawless and of a damaged plate"
    assert localizer.manifest.appearance.reason == "looked at as a photograph, since no reference says otherwise"
    assert localizer.areas == (96 * 96,)
    assert by_colours(areas=None).areas == (224 * 224, 480 * 480)


def test_prompts_that_compare_with_references_are_refused(by_colours) -> None:
    with pytest.raises(FittedPartError, match="leave the prompts out"):
        by_colours(prompts="mine.safetensors")


@pytest.mark.parametrize(
    ("name", "noun"),
    [
        ("metal_nut", "metal nut"),
        ("solar-cell", "solar cell"),
        ("bottle", "bottle"),
        ("piped_pa_bdp01_tl", "object"),
        ("m2", "object"),
        ("pcb1", "object"),
        ("a-screw", "object"),
    ],
)
def test_a_product_is_called_by_its_name_where_that_is_words(name, noun) -> None:
    assert noun_of(name) == noun


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "timm/test_convnext"])
def test_a_backbone_that_does_not_read_needs_references(backbone) -> None:
    weights = None if backbone == "efficientnet_lite0" else "random"
    with pytest.raises(FittedPartError, match="so that it needs references; give at least one, or a CLIP ViT"):
        fit_zero_shot("plate", LocalizerSettings(backbone=backbone, weights=weights))


@pytest.fixture(autouse=True, scope="module")
def tiny_reader(tiny_architecture) -> None:
    """Known to open_clip."""


def test_a_small_clip_compares_with_its_own_texts(plate) -> None:
    localizer = fit_zero_shot("plate", TINY.model_copy(update={"areas": (64 * 64,)}))
    backbone, states = localizer.backbone, localizer.normal.texts
    assert states.temperature == pytest.approx(1 / 0.07, rel=1e-4)
    seen = backbone.as_texts(backbone.preprocess(plate(0), 64 * 64)[None])
    direction = states.places[1] - states.places[0]
    levels = [torch.einsum("d,dhw->hw", direction, layer[0]) for layer in seen.layers]
    assert len(levels) == 3
    places = F.avg_pool2d(torch.stack(levels).mean(0)[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
    picture = seen.embeddings[0] @ (states.picture[1] - states.picture[0])
    grid = states.temperature * (places + picture) / 2
    expected = F.interpolate(grid[None, None], size=(96, 128), mode="bilinear")[0, 0]
    found = localizer.localize(plate(0))
    np.testing.assert_allclose(found.map, expected, atol=1e-5)
    np.testing.assert_allclose(found.embedding, seen.embeddings[0], rtol=1e-5)


def test_saved_and_loaded_it_gives_the_same_bits(tmp_path, plate) -> None:
    localizer = fit_zero_shot("plate", TINY)
    localizer.save(tmp_path)
    loaded = Localizer.load(tmp_path)
    assert np.array_equal(loaded.localize(plate(3)).map, localizer.localize(plate(3)).map)
    assert loaded.reservation == localizer.reservation
    assert loaded.manifest.noun == "plate"
    assert loaded.calibration.count == 0


def test_texts_of_another_space_are_refused(tmp_path) -> None:
    localizer = fit_zero_shot("plate", TINY)
    narrow = localizer.normal.texts._replace(places=torch.zeros(2, 3))
    localizer.normal = localizer.normal._replace(texts=narrow)
    localizer.save(tmp_path)
    assert load_file(tmp_path / "localizer.safetensors")["texts.places"].shape == (2, 3)
    with pytest.raises(FittedPartError, match=r"texts\.places: expected"):
        Localizer.load(tmp_path)


@pytest.fixture
def products(tmp_path: Path) -> LearnedProducts:
    return LearnedProducts(tmp_path / "home")


def test_a_product_without_a_single_reference_is_learned_and_found_again(products, tmp_path, plate, save) -> None:
    part = Product(name="steel-plate", description="A painted part.")
    before = products.learn(part, [save(tmp_path / "1.png", plate(1))], settings=LocalizerSettings(prompts="none"))
    assert len(before.references) == 1
    learned = products.learn_unseen(part, TINY)
    assert len(learned.references) == 0
    assert products.catalog.references("steel-plate") == ()
    assert "a damaged steel plate" in LearnedProducts(tmp_path / "home").get("steel-plate").images.reservation


def test_parts_of_which_no_picture_is_taken_cannot_do_without_references(products) -> None:
    part = Product(name="part", description="d", modality=("image", "time_series"))
    with pytest.raises(ProductError, match="inspected by time_series, of which no text says what is normal"):
        products.learn_unseen(part, TINY)
    assert "part" not in products.catalog.names()
