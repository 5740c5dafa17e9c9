"""Adaptation: prompts learned on synthetic anomalies, kept on disk, and used by a localiser."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from knowledge import FittedPartError
from tools.localization import Localizer, LocalizerSettings, Part, fit_localizer, load_backbone
from tools.localization.adaptation import AdaptationSettings, NormalProduct, adapt
from tools.localization.adapted import Adapted, file_name, read_prompts
from tools.localization.altered import Altered, _divided, altered_of
from tools.localization.normal import Normal
from tools.localization.prompts import Prompts

SMALL = LocalizerSettings(areas=(96 * 96, 128 * 128), memory_size=60)
SHORT = AdaptationSettings(pictures=25, steps=60)
BRIEF = AdaptationSettings(pictures=8, steps=3)
"""Where it does not matter how well is learned."""


def product(name: str, plate: Callable[..., np.ndarray], first: int, count: int = 8) -> NormalProduct:
    seeds = range(first, first + count)
    return NormalProduct(name, [Part(f"{name}{seed}", lambda seed=seed: plate(seed)) for seed in seeds])


def altered(of: NormalProduct, products: list[NormalProduct], settings: AdaptationSettings, cache: Path) -> Altered:
    return altered_of(of, products, load_backbone(), SMALL, settings, cache, lambda what, done, total: None)


def same(one: tuple[Prompts, ...], other: tuple[Prompts, ...]) -> bool:
    return all(torch.equal(a, b) for of in zip(one, other, strict=True) for a, b in zip(*of, strict=True))


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def products(plate) -> list[NormalProduct]:
    return [product("plates", plate, 0), product("others", plate, 40)]


@pytest.fixture(scope="module")
def adapted(products, cache) -> Adapted:
    return adapt(products, load_backbone(), SMALL, SHORT, cache)


@pytest.fixture(scope="module")
def brief_cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("brief_cache")


@pytest.fixture(scope="module")
def briefly(products, brief_cache) -> Adapted:
    return adapt(products, load_backbone(), SMALL, BRIEF, brief_cache)


@pytest.fixture
def kept(briefly, brief_cache, tmp_path) -> Path:
    """What is in the cache of the brief adaptation, to be damaged."""
    return shutil.copytree(brief_cache, tmp_path / "kept")


def test_what_was_changed_is_told_from_what_was_not_on_pictures_not_learned_from(adapted) -> None:
    assert [of.name for of in adapted.manifest.products] == ["plates", "others"]
    assert adapted.manifest.held_out_auroc["all"] > 0.8


def test_the_same_seed_gives_the_same_prompts_with_a_cache_and_without(
    briefly, products, brief_cache, tmp_path
) -> None:
    told: list[str] = []
    again = adapt(products, load_backbone(), SMALL, BRIEF, brief_cache, lambda what, done, total: told.append(what))
    assert same(again.prompts, briefly.prompts)
    assert set(told) == {"learning prompts"}, "patches that are in the cache are not worked out again"
    anew = adapt(products, load_backbone(), SMALL, BRIEF, tmp_path)
    assert same(anew.prompts, briefly.prompts)


def test_an_interrupted_adaptation_goes_on_where_it_was(briefly, products, tmp_path) -> None:
    class Killed(Exception):
        pass

    def kill(what: str, done: int, total: int) -> None:
        if what == "anomalies on others" and done == 5:
            raise Killed

    with pytest.raises(Killed):
        adapt(products, load_backbone(), SMALL, BRIEF, tmp_path, kill)
    told: list[str] = []
    finished = adapt(products, load_backbone(), SMALL, BRIEF, tmp_path, lambda what, done, total: told.append(what))
    assert "anomalies on plates" not in told
    assert "anomalies on others" in told
    assert same(finished.prompts, briefly.prompts)


def test_a_damaged_cache_is_worked_out_again(briefly, products, kept) -> None:
    for path in kept.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    again = adapt(products, load_backbone(), SMALL, BRIEF, kept)
    assert same(again.prompts, briefly.prompts)


def test_pixels_of_another_window_are_not_answered_from_the_cache(briefly, products, kept) -> None:
    told: list[str] = []
    other = [product._replace(window=(0.0, 4000.0)) for product in products]
    adapt(other, load_backbone(), SMALL, BRIEF, kept, lambda what, done, total: told.append(what))
    assert "anomalies on plates" in told


def test_patches_of_other_channels_in_the_cache_are_worked_out_again(briefly, products, kept) -> None:
    for path in kept.iterdir():
        tensors = load_file(path)
        tensors["encoded.1"] = tensors["encoded.1"][:, :9].contiguous()
        save_file(tensors, path)
    again = adapt(products, load_backbone(), SMALL, BRIEF, kept)
    assert same(again.prompts, briefly.prompts)


@pytest.mark.parametrize("change", [{"seed": 1}, {"kinds": ("scar",)}, {"pictures": 6}])
def test_other_settings_are_not_answered_from_the_cache(briefly, products, kept, change) -> None:
    told: list[str] = []
    settings = BRIEF._replace(**change)
    other = adapt(products, load_backbone(), SMALL, settings, kept, lambda what, done, total: told.append(what))
    assert "anomalies on plates" in told
    assert not any(torch.equal(a.vectors, b.vectors) for a, b in zip(other.prompts, briefly.prompts, strict=True))
    assert set(other.manifest.held_out_auroc) <= {"all", *settings.kinds}


def test_products_with_too_few_parts_are_left_out_and_without_any_it_says_so(plate, products, cache, tmp_path) -> None:
    few = product("few", plate, 80, count=3)
    manifest = adapt([*products, few], load_backbone(), SMALL, BRIEF, tmp_path).manifest
    assert (len(manifest.products), manifest.left_out) == (2, ("few",))
    with pytest.raises(FittedPartError, match="4 normal parts"):
        adapt([few], load_backbone(), SMALL, BRIEF, tmp_path)


def test_products_on_which_nothing_can_be_made_say_so(tmp_path) -> None:
    tiny = NormalProduct("tiny", [Part(str(i), lambda: np.zeros((3, 3, 3), np.uint8)) for i in range(4)])
    with pytest.raises(FittedPartError, match="tiny"):
        adapt([tiny], load_backbone(), SMALL, SHORT, tmp_path)


@pytest.mark.parametrize(
    ("parts", "others", "held_out"),
    [(4, 2, {1}), (7, 3, {2}), (8, 4, {3}), (10, 5, {4}), (18, 9, {4}), (21, 10, {4, 9})],
)
def test_a_picture_is_learned_from_or_held_out_with_all_anomalies_on_it(
    plate, tmp_path, parts, others, held_out
) -> None:
    several = product("several", plate, 0, parts)
    found = altered(several, [several], AdaptationSettings(pictures=2 * others + 1), tmp_path)
    for of in (found.whole, *found.layers):
        apart = {number % others for number in of.picture[of.held_out].tolist()}
        learned_from = {number % others for number in of.picture[~of.held_out].tolist()}
        assert (apart, learned_from) == (held_out, set(range(others)) - held_out)
    untouched = found.whole.changed == 0
    seen = [
        {tuple(row) for row in found.whole.encoded[untouched & chosen].tolist()}
        for chosen in (found.whole.held_out, ~found.whole.held_out)
    ]
    assert [len(rows) for rows in seen] == [len(held_out), others - len(held_out)]
    assert not seen[0] & seen[1]


def test_pictures_of_one_part_are_remembered_learned_from_or_held_out_together(plate, tmp_path) -> None:
    """A crowded part first, so that anomalies on it alone would use up all that are made."""
    shown = [0, *[1] * 9, 2, 3, 4, 5, 4, 5]
    pictures = [Part(str(index), lambda index=index: plate(index), f"part {of}") for index, of in enumerate(shown)]
    together = NormalProduct("together", pictures)
    assert together.part_count == 6
    remembered, others = _divided(together, np.random.default_rng(0))
    found = [
        {picture.name for picture in group}
        for group in (
            remembered,
            [base.picture for base in others if not base.held_out],
            [base.picture for base in others if base.held_out],
        )
    ]
    assert [len(names) for names in found] == [3, 2, 1]
    assert len(set.union(*found)) == 6
    assert len(remembered) + len(others) == len(pictures)
    assert len({base.picture.name for base in others[:3]}) == 3, "part by part in turn"


def test_who_shows_what_decides_what_is_answered_from_the_cache(plate, tmp_path) -> None:
    pictures = [Part(str(seed), lambda seed=seed: plate(seed)) for seed in range(8)]
    told = [part._replace(name=str(number // 2)) for number, part in enumerate(pictures)]
    for parts in (pictures, told):
        one = NormalProduct("one", parts)
        found = adapt([one], load_backbone(), SMALL, BRIEF, tmp_path)
        assert [of.parts for of in found.manifest.products] == [one.part_count]
    assert len(list(tmp_path.iterdir())) == 2


def test_many_pictures_are_remembered_in_bounded_memory(plate, tmp_path, monkeypatch) -> None:
    eight, kept = product("eight", plate, 0), []
    fit = Normal.fit.__func__
    monkeypatch.setattr(
        Normal, "fit", classmethod(lambda cls, parts, *rest: kept.extend(parts) or fit(cls, parts, *rest))
    )
    monkeypatch.setattr("tools.localization.altered.MOST_BYTES", 4 * 100_000)
    altered(eight, [eight], BRIEF, tmp_path)
    assert len(kept) == 4
    assert all(seen.size <= 100_000 for seen in kept)


def test_too_few_parts_are_too_few_however_many_pictures_show_them(plate, tmp_path) -> None:
    pictures = [Part(str(seed), lambda seed=seed: plate(seed), str(seed % 3)) for seed in range(9)]
    with pytest.raises(FittedPartError, match="4 normal parts"):
        adapt([NormalProduct("few", pictures)], load_backbone(), SMALL, SHORT, tmp_path)


def test_what_is_held_out_decides_nothing_of_what_is_learned_from(plate, tmp_path) -> None:
    """Neither patches nor the scale on which they are."""
    plain = product("plain", plate, 0)
    settings = AdaptationSettings(pictures=4)
    before = altered(plain, [plain], settings, tmp_path)
    changes = []
    for index in range(len(plain.parts)):
        other = [*plain.parts[:index], Part("other", lambda: plate(90)), *plain.parts[index + 1 :]]
        after = altered(plain._replace(parts=other), [plain], settings, tmp_path)
        learned_from = [of.whole.encoded[~of.whole.held_out] for of in (before, after)]
        changes.append(not torch.equal(*learned_from))
    assert changes.count(False) == 1, "one of eight parts is held out: the last of the four that are not remembered"


def test_without_anything_held_out_nothing_is_said_of_how_well_was_learned(products, tmp_path) -> None:
    settings = AdaptationSettings(pictures=2, steps=2)
    found = adapt(products, load_backbone(), SMALL, settings, tmp_path)
    assert found.manifest.held_out_auroc == {}
    assert found.manifest.held_out_image_auroc is None
    assert [of.pictures for of in found.manifest.products] == [2, 2]


def test_a_product_with_anomalies_on_what_is_held_out_alone_is_refused(plate, tmp_path) -> None:
    """Of four pictures two are remembered, one is held out and one is learned from; on small ones nothing can be made."""

    def why_not(large: int) -> str:
        sides = [64 if index == large else 3 for index in range(4)]
        parts = [Part(f"{large} {index}", lambda side=side: plate(0)[:side, :side]) for index, side in enumerate(sides)]
        mixed = NormalProduct("mixed", parts)
        try:
            adapt([mixed], load_backbone(), SMALL, AdaptationSettings(pictures=6, steps=2), tmp_path)
        except FittedPartError as error:
            return str(error)
        return ""

    reasons = [why_not(large) for large in range(4)]
    assert reasons.count("") == 1
    assert all("mixed" in reason and "learned from" in reason for reason in reasons if reason)


@pytest.mark.parametrize("damage", ["missing", "everything"])
def test_a_cache_that_does_not_say_what_is_learned_from_is_worked_out_again(products, tmp_path, damage) -> None:
    settings = AdaptationSettings(pictures=5)
    before = altered(products[0], products, settings, tmp_path)
    [path] = tmp_path.iterdir()
    tensors = load_file(path)
    held_out = tensors.pop("held_out.0")
    if damage == "everything":
        tensors["held_out.0"] = torch.ones_like(held_out)
    save_file(tensors, path)
    after = altered(products[0], products, settings, tmp_path)
    assert torch.equal(after.layers[0].held_out, before.layers[0].held_out)
    assert torch.equal(load_file(path)["held_out.0"], held_out)


@pytest.fixture
def file(adapted, tmp_path) -> Path:
    path = tmp_path / file_name(load_backbone())
    adapted.save(path)
    return path


def test_prompts_are_read_as_they_were_saved(adapted, file) -> None:
    found = read_prompts(str(file), load_backbone())
    assert found is not None
    assert same(found.prompts, adapted.prompts)
    assert read_prompts("none", load_backbone()) is None


def test_prompts_that_come_with_the_package_are_those_of_the_embedded_backbone() -> None:
    shipped = read_prompts("shipped", load_backbone())
    assert shipped is not None
    assert len(shipped.prompts) == len(load_backbone().memory_layers)
    assert read_prompts("shipped", load_backbone("ViT-B-32", "random")) is None


def test_image_level_prompts_are_learned_beside_the_others_and_kept_with_them(adapted, file) -> None:
    assert adapted.image is not None
    assert adapted.image.vectors.shape == (2, 64)
    assert not any(torch.equal(adapted.image.vectors, of.vectors) for of in adapted.prompts)
    assert adapted.manifest.held_out_image_auroc is not None
    found = read_prompts(str(file), load_backbone())
    assert found is not None
    assert same((found.image,), (adapted.image,))


def test_prompts_of_an_older_program_have_none_for_pictures(adapted, tmp_path, products, plate) -> None:
    path = tmp_path / "older.safetensors"
    adapted._replace(image=None).save(path)
    older = read_prompts(str(path), load_backbone())
    assert older is not None
    assert older.image is None
    assert same(older.prompts, adapted.prompts)
    both = [
        fit_localizer(
            products[0].parts, settings=SMALL.model_copy(update={"prompts": str(path), "image_prompts": wanted})
        )
        for wanted in (True, False)
    ]
    assert not both[0].manifest.image_prompted
    assert np.array_equal(*(localizer.localize(plate(60)).map for localizer in both))


def test_a_picture_and_the_same_with_an_anomaly_are_told_apart_as_a_whole(products, cache) -> None:
    whole = altered(products[0], products, SHORT, cache).whole
    assert whole.encoded.shape == (2 * 25, 2 * (40 + 112) + 1)
    assert whole.changed.tolist() == [0.0, 1.0] * 25
    assert whole.picture.tolist() == [number for number in range(25) for _ in range(2)]
    # The last of what is encoded is how far a picture is from the nearest reference.
    untouched, changed = whole.encoded[:, -1].reshape(25, 2).float().unbind(1)
    assert untouched.unique().shape[0] <= 4, "four parts, again and again"
    assert (changed > untouched).float().mean() > 0.8


def test_a_picture_as_a_whole_weighs_its_map_where_that_is_wanted(products, plate, file, tmp_path) -> None:
    settings = SMALL.model_copy(update={"prompts": str(file)})
    plain = fit_localizer(products[0].parts, settings=settings)
    weighed = fit_localizer(products[0].parts, settings=settings.model_copy(update={"image_prompts": True}))
    assert (plain.manifest.image_prompted, weighed.manifest.image_prompted) == (False, True)
    weighed.save(tmp_path / "fitted")
    loaded = Localizer.load(tmp_path / "fitted")
    pixels = plate(60, "scratch")
    here, there = weighed.localize(pixels), loaded.localize(pixels)
    assert np.array_equal(here.map, there.map)
    assert here.score == here.map.max()
    # One factor for all places: the distances that the maps stand for differ by nothing else.
    distances = [of.localize(pixels).map * of.scale.deviation + of.scale.median for of in (weighed, plain)]
    factors = distances[0] / distances[1]
    np.testing.assert_allclose(factors, factors[0, 0], rtol=1e-4)
    assert factors[0, 0] != pytest.approx(1.0, abs=1e-3)


def test_too_few_pictures_are_not_weighed_as_a_whole(products, file) -> None:
    settings = SMALL.model_copy(update={"prompts": str(file), "image_prompts": True})
    manifest = fit_localizer(products[0].parts[:4], settings=settings).manifest
    assert manifest.prompts_sha256 is not None
    assert not manifest.image_prompted


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def unreadable(path: Path) -> None:
    path.with_suffix(".json").write_text("{")


def other_backbone(path: Path) -> None:
    manifest = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(manifest | {"backbone_sha256": "0"}))


def absent(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [truncated, unreadable, other_backbone, absent])
def test_prompts_that_cannot_be_used_say_so(file, damage) -> None:
    damage(file)
    with pytest.raises(FittedPartError, match="adapt"):
        read_prompts(str(file), load_backbone())


def test_a_localiser_learns_saves_and_loads_with_prompts(products, plate, file, tmp_path) -> None:
    settings = SMALL.model_copy(update={"prompts": str(file)})
    localizer = fit_localizer(products[0].parts, settings=settings)
    assert localizer.manifest.prompts_sha256 is not None
    localizer.save(tmp_path / "fitted")
    file.unlink()
    loaded = Localizer.load(tmp_path / "fitted")
    odd, normal = plate(60, "scratch"), plate(61)
    assert np.array_equal(loaded.localize(odd).map, localizer.localize(odd).map)
    without = fit_localizer(products[0].parts, settings=SMALL.model_copy(update={"prompts": "none"}))
    assert without.manifest.prompts_sha256 is None
    assert not np.array_equal(without.localize(odd).map, localizer.localize(odd).map)
    assert localizer.localize(odd).score > 2 * localizer.localize(normal).score


def test_a_lone_reference_is_judged_without_prompts(products, file) -> None:
    settings = SMALL.model_copy(update={"prompts": str(file)})
    assert fit_localizer(products[0].parts[:1], settings=settings).manifest.prompts_sha256 is None


def test_a_clip_backbone_adapts_through_its_text_tower(products, plate, tmp_path) -> None:
    backbone = load_backbone("ViT-B-32", "random")
    localizer = SMALL.model_copy(update={"backbone": "ViT-B-32", "weights": "random", "areas": (96 * 96,)})
    learned = adapt(products[:1], backbone, localizer, AdaptationSettings(pictures=5, steps=2), tmp_path)
    assert [of.vectors.shape for of in learned.prompts] == [(2, backbone.text.dim)] * len(backbone.memory_layers)
    learned.save(tmp_path / "clip.safetensors")
    settings = localizer.model_copy(update={"prompts": str(tmp_path / "clip.safetensors")})
    fitted = fit_localizer(products[0].parts[:3], settings=settings)
    fitted.save(tmp_path / "fitted")
    larger = settings.model_copy(update={"areas": (160 * 160,)})
    for localizer_of_size in (
        Localizer.load(tmp_path / "fitted"),
        fit_localizer(products[0].parts[:3], settings=larger),
    ):
        assert np.isfinite(localizer_of_size.localize(plate(70)).map).all()


def test_prompts_that_cannot_be_used_are_told_of_before_any_work(products, tmp_path) -> None:
    told: list[str] = []
    settings = SMALL.model_copy(update={"prompts": str(tmp_path / "nowhere.safetensors")})
    with pytest.raises(FittedPartError, match="nowhere"):
        fit_localizer(products[0].parts, settings=settings, progress=lambda what, done, total: told.append(what))
    assert not told
