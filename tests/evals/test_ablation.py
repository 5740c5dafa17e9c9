"""Ablation on small plates: every variant is measured, and differs where it should."""

import json

import pytest
import torch

from evals import ablation
from evals.ablation import Variant, run_ablation
from evals.simulated import write_plate_set
from evals.tables import protocol_line, tables_of
from tools import LocalizerSettings, Nearest, load_backbone, look_at, see


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict:
    plates = tmp_path_factory.mktemp("sets") / "plates"
    write_plate_set(plates, 8, 3, 3)
    settings = LocalizerSettings(areas=(64 * 64, 96 * 96), memory_size=40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablation, "_PICTURES", 5)
        return run_ablation(str(plates.parent), [], settings, lambda what, done, total: None)


@pytest.mark.slow
def test_every_variant_has_its_figures(result) -> None:
    assert len(result["variants"]) == 17
    assert len({row["name"] for row in result["variants"]}) == 17
    assert all(row["macro"]["pixel_ap"] is not None for row in result["variants"])
    json.dumps(result)


@pytest.mark.slow
def test_variants_are_not_the_same_thing_under_other_names(result) -> None:
    figures = [row["macro"]["pixel_ap"] for row in result["variants"]]
    # Plates are photographs, so that that is what they have anyway.
    assert len(set(figures)) >= 13
    by_name = {row["name"]: row["macro"] for row in result["variants"]}
    assert by_name["two looks"] == by_name["two looks, every product on 64 axes, not whitened"]


@pytest.mark.slow
def test_the_table_has_a_line_for_each_variant(result) -> None:
    [table] = tables_of(result, markdown=True)
    assert table.row_count == 17
    assert "1 sets" in protocol_line(result)


def test_a_shuffled_memory_gives_the_same_distances_at_other_places() -> None:
    class Memory:
        sources = torch.zeros(3, 1)

        def nearest(self, patches: torch.Tensor) -> Nearest:
            return Nearest(torch.arange(50.0), torch.zeros(50, dtype=torch.int64))

    shuffled = ablation._Shuffled(Memory(), seed=0).nearest(torch.zeros(50, 1)).distances
    assert not torch.equal(shuffled, torch.arange(50.0))
    assert torch.equal(shuffled.sort().values, torch.arange(50.0))


def test_place_by_place_is_what_the_references_tell(plate) -> None:
    backbone = load_backbone()
    settings = LocalizerSettings(areas=(96 * 96,), memory_size=60)
    appearance = look_at([plate(0)], settings.areas)
    seen = [see(backbone, plate(seed), appearance.areas) for seed in range(24)]
    built = {
        aligned: ablation._built(Variant("", aligned=aligned), seen, [], own, appearance, {})
        for aligned, own in ((True, settings), (False, settings.model_copy(update={"aligned": False})))
    }
    assert built[True].template is not None
    assert built[False].template is None
    odd = see(backbone, plate(50, "scratch"), appearance.areas)
    assert built[True].distances(odd).max() > 2 * built[False].distances(odd).max()
