"""Learning products, learning them again, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from knowledge import AssetError, FittedPartError, NormalityRule, Product, ProductError
from tools import learned as learned_module
from tools.assets import Limits, Window
from tools.intake import window_of
from tools.learned import LearnedProducts
from tools.localization import AdaptationSettings, Adapted, LocalizerSettings, fitting

SMALL = LocalizerSettings(areas=(64 * 64,), memory_size=30)
PART = Product(name="part", description="A painted part.", alpha=0.25)


@pytest.fixture
def pictures(tmp_path: Path, plate, save) -> list[Path]:
    return [save(tmp_path / "good" / f"{seed}.png", plate(seed)) for seed in range(5)]


@pytest.fixture
def products(tmp_path: Path) -> LearnedProducts:
    return LearnedProducts(tmp_path / "home")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def references(products: LearnedProducts) -> list[Path]:
    return sorted((products.catalog.folder("part") / "references" / "normal").iterdir())


def test_a_product_of_five_pictures(products, pictures, plate) -> None:
    learned = products.learn(PART, pictures, settings=SMALL)
    assert learned.product == PART
    assert len(learned.index) == len(references(products)) == 5
    assert learned.localizer.calibration.count == 5
    assert learned.localizer.calibration.scheme == "cross"
    assert learned.version == products.catalog.version("part")
    query = learned.localizer.localize(plate(3)).embedding
    nearest = learned.index.search(query, 1)[0]
    assert (learned.folder / nearest.item.path).read_bytes() == pictures[3].read_bytes()
    assert nearest.similarity == pytest.approx(1.0, abs=1e-5)


def test_few_references_promise_nothing(products, pictures) -> None:
    promise = products.learn(PART, pictures, settings=SMALL).localizer.calibration.promise(0.05)
    assert not promise.kept
    assert "at least 19" in promise.sentence
    assert "there are 5" in promise.sentence


def test_the_same_picture_twice_counts_once(products, pictures, save, plate, tmp_path) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(pictures[0].read_bytes())
    learned = products.learn(PART, [*pictures, copy, pictures[1]], held_out=[copy], settings=SMALL)
    assert learned.localizer.calibration.count == 5
    assert learned.localizer.calibration.scheme == "cross", "a part in the memory cannot be held out"


def test_held_out_parts_are_kept_beside_the_others_and_out_of_the_memory(products, pictures) -> None:
    learned = products.learn(PART, pictures[:3], held_out=pictures[2:], settings=SMALL)
    assert learned.localizer.calibration.scheme == "split"
    assert learned.localizer.calibration.count == 2
    assert len(learned.index) == 3
    assert len(references(products)) == 5


def test_of_many_pictures_half_are_held_out(products, tmp_path, save) -> None:
    random = np.random.default_rng(0)
    many = [
        save(tmp_path / "many" / f"{number}.bmp", random.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        for number in range(201)
    ]
    settings = LocalizerSettings(areas=(32 * 32,), memory_size=5)
    manifest = products.learn(PART, many, settings=settings).localizer.manifest
    assert manifest.scheme == "split"
    assert len(manifest.memory_parts) == 101
    assert len(manifest.calibration_parts) == 100
    assert not set(manifest.memory_parts) & set(manifest.calibration_parts)
    again = products.learn(PART, many, settings=settings).localizer.manifest
    assert again.memory_parts == manifest.memory_parts, "what prompts were learned on is not calibrated on"


def test_what_was_learned_is_loaded_once_and_again_when_another_process_learns(products, pictures, tmp_path) -> None:
    first = products.learn(PART, pictures, settings=SMALL)
    assert products.get("part") is first
    LearnedProducts(tmp_path / "home").learn(PART, pictures[:3], settings=SMALL)
    assert len(products.get("part").index) == 3
    assert products.get("part") is products.get("part")


def test_a_product_can_be_learned_again_from_its_own_references(products, pictures) -> None:
    products.learn(PART, pictures, settings=SMALL)
    before = tree(products.catalog.folder("part"))
    learned = products.learn(PART, references(products), settings=SMALL)
    assert tree(products.catalog.folder("part")) == before
    assert len(learned.index) == 5


def test_pictures_laid_into_the_folder_by_hand_are_learned_and_named_by_content(products, pictures) -> None:
    products.learn(PART, pictures[:3], settings=SMALL)
    by_hand = references(products)[0].parent / "From The Camera.PNG"
    by_hand.write_bytes(pictures[4].read_bytes())
    learned = products.learn(PART, references(products), settings=SMALL)
    assert len(learned.index) == 4
    assert not by_hand.exists()
    assert by_hand.name not in {path.name for path in references(products)}
    assert pictures[4].read_bytes() in tree(by_hand.parent).values()


def test_learning_fewer_pictures_drops_the_others(products, pictures) -> None:
    products.learn(PART, pictures, settings=SMALL)
    assert len(products.learn(PART, pictures[:2], settings=SMALL).index) == len(references(products)) == 2


@pytest.mark.parametrize("change", ["removed", "added", "repainted"])
def test_references_that_changed_since_are_refused_until_they_are_put_back(
    products, pictures, change, plate, save
) -> None:
    products.learn(PART, pictures[:4], settings=SMALL)
    victim = references(products)[0]
    content = victim.read_bytes()
    if change == "removed":
        victim.unlink()
    elif change == "added":
        save(victim.parent / "new.png", plate(77))
    else:
        save(victim, plate(77))
    with pytest.raises(FittedPartError, match=r"'part'.*have changed.*enroll it again"):
        products.get("part")
    victim.write_bytes(content)
    (victim.parent / "new.png").unlink(missing_ok=True)
    assert len(products.get("part").index) == 4


def test_what_experts_say_may_change_without_learning_again(products, pictures) -> None:
    before = products.learn(PART, pictures, settings=SMALL)
    products.catalog.write(PART.model_copy(update={"alpha": 0.01}))
    after = products.get("part")
    assert after.product.alpha == 0.01
    assert after.version != before.version
    assert after.localizer.manifest == before.localizer.manifest


def test_a_window_that_changed_since_is_refused(products, tmp_path) -> None:
    random = np.random.default_rng(0)
    deep = [tmp_path / f"{number}.png" for number in range(3)]
    for path in deep:
        Image.fromarray(random.integers(0, 4000, (64, 64)).astype(np.uint16)).save(path)
    products.learn(PART.model_copy(update={"window": (0.0, 4000.0)}), deep, settings=SMALL)
    products.catalog.write(PART.model_copy(update={"window": (0.0, 65535.0)}))
    with pytest.raises(FittedPartError):
        products.get("part")


def test_an_example_of_a_defect_is_no_reference_for_the_memory(products, pictures, plate, save) -> None:
    products.learn(PART, pictures, settings=SMALL)
    save(products.catalog.folder("part") / "references" / "defects" / "scratch" / "x.png", plate(0, "scratch"))
    assert len(products.get("part").index) == 5


@pytest.mark.parametrize(
    "damage",
    [
        lambda good: good.write_bytes(good.read_bytes()[:900]),
        lambda good: good.write_bytes(b""),
        lambda good: good.write_text("PASS"),
        lambda good: good.unlink(),
        lambda good: Image.new("RGB", (8, 8)).save(good),
    ],
)
@pytest.mark.parametrize("held_out", [False, True])
def test_a_damaged_picture_leaves_what_was_learned_untouched(products, pictures, tmp_path, damage, held_out) -> None:
    learned = products.learn(PART, pictures[:3], settings=SMALL)
    before = tree(tmp_path / "home")
    damage(pictures[4])
    changed = PART.model_copy(update={"description": "Another part."})
    good, held = (pictures[:3], pictures[3:]) if held_out else (pictures, [])
    with pytest.raises(AssetError):
        products.learn(changed, good, held, SMALL)
    assert tree(tmp_path / "home") == before
    assert products.get("part") is learned


def test_nothing_to_learn_from_is_refused_before_anything_is_written(products, tmp_path) -> None:
    with pytest.raises(ProductError, match="at least one"):
        products.learn(PART, [])
    assert not (tmp_path / "home").exists()


def test_an_unknown_product_is_refused_with_the_way_to_learn_it(products) -> None:
    with pytest.raises(ProductError, match="anomalyst enroll nobody"):
        products.get("nobody")


def test_a_product_that_is_known_and_not_learned_says_so(products) -> None:
    products.catalog.write(PART)
    with pytest.raises(FittedPartError, match=r"'part'.*nothing has been learned"):
        products.get("part")


def test_a_manifest_that_names_a_part_twice_is_refused(products, pictures, tmp_path) -> None:
    products.learn(PART, pictures, settings=SMALL)
    path = tmp_path / "home" / "models" / "part" / "localizer.json"
    manifest = json.loads(path.read_text())
    manifest["memory_parts"].append(manifest["memory_parts"][0])
    path.write_text(json.dumps(manifest))
    with pytest.raises(FittedPartError):
        products.get("part")


def test_a_manifest_whose_settings_were_changed_is_refused(products, pictures, tmp_path) -> None:
    products.learn(PART, pictures, settings=SMALL)
    path = tmp_path / "home" / "models" / "part" / "localizer.json"
    manifest = json.loads(path.read_text())
    manifest["settings"]["areas"][0] *= 4
    path.write_text(json.dumps(manifest))
    with pytest.raises(FittedPartError):
        products.get("part")


def test_a_window_is_known_where_the_product_gives_one() -> None:
    assert window_of(PART) is None
    assert window_of(PART.model_copy(update={"window": (100.0, 4000.0)})) == Window(low=100, high=4000)


def test_a_product_declared_aligned_since_is_refused(products, pictures) -> None:
    assert products.learn(PART, pictures, settings=SMALL).localizer.normal.template is None
    aligned = PART.model_copy(update={"aligned": True})
    products.catalog.write(aligned)
    with pytest.raises(FittedPartError, match="aligned"):
        products.get("part")
    assert products.learn(aligned, pictures, settings=SMALL).localizer.normal.template is not None


def test_prompts_adapted_in_a_home_are_used_for_what_is_learned_there_next(products, pictures, tmp_path) -> None:
    shipped = products.learn(PART, pictures, settings=SMALL).localizer.manifest
    adapted, path = products.adapt(["part"], SMALL, AdaptationSettings(pictures=5, steps=2))
    assert path.is_relative_to(tmp_path / "home")
    assert [product.name for product in adapted.manifest.products] == ["part"]
    own = products.learn(PART, pictures, settings=SMALL).localizer.manifest
    assert own.settings.prompts == str(path)
    assert own.prompts_sha256 != shipped.prompts_sha256
    none = SMALL.model_copy(update={"prompts": "none"})
    assert products.learn(PART, pictures, settings=none).localizer.manifest.prompts_sha256 is None


def prompts_of(products: LearnedProducts) -> Adapted:
    return products.adapt(["part"], SMALL, AdaptationSettings(pictures=5, steps=2))[0]


@pytest.fixture
def apart(tmp_path: Path, plate, save) -> list[Path]:
    """Other pictures than `pictures`."""
    return [save(tmp_path / "apart" / f"{seed}.png", plate(seed)) for seed in (20, 21)]


def test_prompts_are_not_learned_on_what_the_next_calibration_rests_on(products, pictures, apart, tmp_path) -> None:
    products.learn(PART, pictures, apart, SMALL)
    adapted = prompts_of(products)
    assert [of.parts for of in adapted.manifest.products] == [5]
    manifest = products.learn(PART, pictures, apart, SMALL).localizer.manifest
    assert manifest.prompts_sha256 is not None
    assert len(manifest.calibration_parts) == 2
    without = LearnedProducts(tmp_path / "without")
    without.learn(PART, pictures, settings=SMALL)
    alone = prompts_of(without)
    assert all(
        torch.equal(one.vectors, other.vectors) for one, other in zip(adapted.prompts, alone.prompts, strict=True)
    )


@pytest.mark.parametrize("known", ["in turn", "damaged", "not learned"])
def test_prompts_are_learned_on_all_references_where_none_are_held_out_for_good(
    products, pictures, apart, tmp_path, known
) -> None:
    learned_from = ([*pictures, *apart], []) if known == "in turn" else (pictures, apart)
    products.learn(PART, *learned_from, settings=SMALL)
    manifest = tmp_path / "home" / "models" / "part" / "localizer.json"
    if known == "damaged":
        manifest.write_text("{")
    if known == "not learned":
        manifest.unlink()
    assert [of.parts for of in prompts_of(products).manifest.products] == [7]


def test_the_same_picture_under_two_names_is_not_both_learned_from_and_held_out(products, pictures) -> None:
    products.learn(PART, pictures, settings=SMALL)
    twice = references(products)[0]
    (twice.parent / "copy.png").write_bytes(twice.read_bytes())
    assert [of.parts for of in prompts_of(products).manifest.products] == [5]


def test_too_few_parts_besides_those_that_are_held_out_are_too_few_to_adapt(products, pictures, apart) -> None:
    products.learn(PART, pictures[:3], [*pictures[3:], *apart], SMALL)
    with pytest.raises(FittedPartError, match="4 normal parts"):
        prompts_of(products)


def test_rules_are_stored_with_their_questions(products, pictures) -> None:
    rules = (
        NormalityRule(id="P-1", text="It is clean."),
        NormalityRule(id="P-2", text="Flat.", question="Is it flat?"),
    )
    learned = products.learn(PART.model_copy(update={"rules": rules}), pictures, settings=SMALL)
    assert [rule.question for rule in learned.product.rules] == ['Is this rule kept: "It is clean."?', "Is it flat?"]
    stored = products.catalog.folder("part") / "product.yaml"
    before = stored.read_bytes()
    products.learn(PART.model_copy(update={"rules": rules}), pictures, settings=SMALL)
    assert stored.read_bytes() == before


def test_the_halves_of_many_parts_hardly_hang_on_what_else_is_given_or_in_which_order() -> None:
    files = [learned_module._File(f"{number:064x}", "image", Path(), Limits(), PART) for number in range(300)]
    memory, apart = map(set, learned_module._split(files, 0))
    assert (len(memory), len(apart), memory & apart) == (150, 150, set())
    assert set(learned_module._split(files[::-1], 0)[0]) == memory
    fewer = set(learned_module._split(files[:-20], 0)[0])
    assert len(fewer - memory) <= 20
    assert len(set(learned_module._split(files, 1)[0]) & memory) < 100


# --- where several pictures show one part


@pytest.fixture
def shown(tmp_path: Path, plate, save) -> list[Path]:
    """Two pictures of each of four parts."""
    return [save(tmp_path / "shown" / f"p{seed // 2}_{seed % 2}.png", plate(seed)) for seed in range(8)]


NAMED = PART.model_copy(update={"part_name": "p{part}_*"})


def test_pictures_of_one_part_are_told_by_their_names(products, shown) -> None:
    calibration = products.learn(NAMED, shown, settings=SMALL).localizer.calibration
    assert (calibration.count, calibration.parts) == (8, 4)
    assert calibration.promise(0.2).kept
    assert "there are 4, in 8 pictures" in calibration.promise(0.1).sentence
    assert products.get("part").localizer.settings.part_name == "p{part}_*"


def test_a_name_that_says_no_part_is_refused_and_nothing_is_lost(products, shown, pictures, tmp_path) -> None:
    products.learn(NAMED, shown, settings=SMALL)
    before = tree(tmp_path / "home")
    with pytest.raises(ProductError, match="'0' does not say which part it shows"):
        products.learn(NAMED, [*shown, pictures[0]], settings=SMALL)
    assert tree(tmp_path / "home") == before


def test_a_part_is_not_both_learned_from_and_held_out(products, shown) -> None:
    with pytest.raises(FittedPartError, match="part '1' are both learned from and held out"):
        products.learn(NAMED, shown[:3], held_out=shown[3:], settings=SMALL)
    calibration = products.learn(NAMED, shown[:4], held_out=shown[4:], settings=SMALL).localizer.calibration
    assert (calibration.scheme, calibration.count, calibration.parts) == ("split", 4, 2)


def test_a_product_whose_parts_are_told_otherwise_since_is_refused(products, shown) -> None:
    products.learn(NAMED, shown, settings=SMALL)
    products.catalog.write(PART)
    with pytest.raises(FittedPartError, match="`part_name` has changed"):
        products.get("part")


def test_prompts_are_learned_on_pictures_of_parts_too(products, shown) -> None:
    products.learn(NAMED, shown, settings=SMALL)
    [of_part] = prompts_of(products).manifest.products
    assert (of_part.name, of_part.parts) == ("part", 4)


def test_the_halves_of_many_pictures_part_no_part() -> None:
    files = [
        learned_module._File(f"{number:064x}", "image", Path(f"p{number // 4}_{number % 4}"), Limits(), NAMED)
        for number in range(400)
    ]
    memory, apart = learned_module._split(files, 0)
    assert (len(memory), len(apart)) == (200, 200)
    assert not {file.shown for file in memory} & {file.shown for file in apart}


@pytest.mark.parametrize(("count", "scheme"), [(199, "cross"), (200, "split")])
def test_many_parts_are_held_out_for_good(count, scheme) -> None:
    files = [
        learned_module._File(f"{part * 5 + number:064x}", "image", Path(f"p{part}_{number}"), Limits(), NAMED)
        for part in range(count)
        for number in range(5)
    ]
    group = learned_module._of_modality(files, [], "image", 0)
    assert ("split" if group.held_out else "cross") == scheme


def test_settings_that_tell_parts_otherwise_than_the_product_are_refused(products, shown) -> None:
    settings = SMALL.model_copy(update={"part_name": "p{part}_*"})
    with pytest.raises(ProductError, match="the product says its part_name"):
        products.learn(PART, shown, settings=settings)
    assert products.learn(NAMED, shown, settings=settings).localizer.calibration.parts == 4


def test_one_picture_under_the_names_of_two_parts_is_refused(products, shown, tmp_path) -> None:
    copy = tmp_path / "p9_0.png"
    copy.write_bytes(shown[0].read_bytes())
    with pytest.raises(ProductError, match=r"p0_0\.png and p9_0\.png are the same picture of two parts"):
        products.learn(NAMED, [*shown, copy], settings=SMALL)


def test_more_pictures_than_can_be_kept_are_refused_at_once_and_nothing_is_written(
    products, shown, tmp_path, monkeypatch
) -> None:
    before, told = tree(tmp_path / "home"), []
    monkeypatch.setattr(fitting, "_MOST_KEPT", 5 * 50_000)
    with pytest.raises(FittedPartError, match=r"8 pictures are more .* give \d or fewer"):
        products.learn(NAMED, shown, settings=SMALL, progress=lambda *each: told.append(each))
    assert told == [("reading references", 0, 8)]
    assert tree(tmp_path / "home") == before
    assert products.learn(NAMED, shown[:4], held_out=shown[4:], settings=SMALL).localizer.calibration.count == 4


def test_references_keep_the_names_of_their_parts(products, shown) -> None:
    learned = products.learn(NAMED, shown, settings=SMALL)
    assert sorted(path.name[:2] for path in references(products)) == [f"{part}~" for part in (0, 0, 1, 1, 2, 2, 3, 3)]
    before = tree(products.catalog.folder("part"))
    again = products.learn(NAMED, references(products), settings=SMALL)
    assert tree(products.catalog.folder("part")) == before
    assert (
        sorted(again.localizer.calibration.shown)
        == sorted(learned.localizer.calibration.shown)
        == sorted([0, 1, 2, 3] * 2)
    )
    assert again.version == learned.version
    products.learn(PART, references(products), settings=SMALL)
    assert not any("~" in path.name for path in references(products))


def test_the_same_pictures_of_other_parts_are_another_version(products, shown) -> None:
    first = products.learn(NAMED, shown, settings=SMALL).version
    other = shown[0].rename(shown[0].with_name("p7_0.png"))
    assert products.learn(NAMED, [other, *shown[1:]], settings=SMALL).version != first
