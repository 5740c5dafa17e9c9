"""How well claims are verified, on parts whose defects were planted. Run as `python -m evals.verification [--json]`.

Each part goes through a whole inspection whose reasoner states true and false claims. What is true is known from the
planting, or worked out here by plain code over a region's mask or elements and what was painted; what is false is said
of another side, count, size, time, number, colour, order or outcome, or cites what does not exist.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from langchain_core.messages import BaseMessage
from pydantic import Field
from rich.table import Table

from agent import Inspector, Settings, results
from evals.claims import CLEAN, PLANTED, Said, false_claims, true_claims
from evals.planted import PlantedPart, plant
from evals.stand_in import Bound, StandIn, texts_of
from evals.truth import facts_of
from knowledge import Modality, Product
from tools import ALL_MODALITIES, BRIEFING_TITLE, Evidence, EvidenceLog, load_asset

GOAL = 0.98

_PARTS = 6
"""Of each modality."""

LEFT_OUT = {
    "colour": "of depth, point_cloud, time_series and video: the colours of a drawing say nothing of the part",
    "time": "of image, depth and point_cloud: they have none",
    "comparison with the reference, or by brightness": "of all but image, for the same reason",
    "number": "depth, area and volume of a point_cloud, deviations from normal of a time_series and motion of a video: "
    "their definitions are those of the instrument, which no plain code can stand in for",
}

_STATUSES = ("supported", "refuted", "unverified")


class Checked(NamedTuple):
    """A claim and what became of it."""

    modality: Modality
    said: Said
    status: Literal["supported", "refuted", "unverified"]
    checked: str


class Witness(StandIn):
    """A reasoner that states the claims it was given, each citing evidence of its subject that the briefing names."""

    name: str | None = "witness"
    claims: list[dict[str, Any]] = Field(default_factory=list)

    def answer(self, messages: list[BaseMessage], bound: Bound) -> dict[str, Any]:
        named = _evidence_of(_briefing(messages))
        claims = [{**claim, "evidence": claim.get("evidence") or named(claim["subject"])} for claim in self.claims]
        return {"opinion": "anomalous", "explanation": "As it was planted.", "claims": claims}


def _briefing(messages: Sequence[BaseMessage]) -> dict[str, Any]:
    """What stands behind the briefing's title."""
    text = next(text for text in texts_of(messages) if BRIEFING_TITLE in text)
    briefing: dict[str, Any] = json.loads(text.partition(BRIEFING_TITLE)[2])
    return briefing


def _evidence_of(briefing: dict[str, Any]) -> Any:
    """The ids that a reasoner would cite for a region, a rule, or else the view."""
    cited = {region["id"]: region["evidence"] for region in briefing["regions"]}
    cited |= {check["rule"]: [check["evidence"]] for check in briefing["rule_checks"]}
    return lambda subject: cited.get(subject, [briefing["localization"]["evidence"]])


def examine(modality: Modality, folder: Path, seed: int = 0, parts: int = _PARTS) -> list[Checked]:
    """Learn a product of planted parts, inspect some, and tell what became of the claims."""
    planted = plant(modality, folder / "parts")
    witness = Witness()
    inspector = Inspector(Settings(home=folder / "home"), reasoner=witness)
    inspector.enroll(planted.product, planted.good)
    found: list[Checked] = []
    for number in range(parts):
        part = planted.make(folder / "defective", 100 * seed + number)
        random = np.random.default_rng([seed, number])
        facts = facts_of(modality, part, _observed(inspector, part, planted.product), inspector.store)
        said = [*true_claims(facts, random), *false_claims(facts, random)]
        witness.claims = [claim.draft | {"text": f"claim {index}"} for index, claim in enumerate(said)]
        report = inspector.inspect(part.path, planted.product.name)
        outcome = {claim.text: claim for claim in report.claims}
        found += [
            Checked(modality, claim, outcome[f"claim {index}"].status, outcome[f"claim {index}"].checked)
            for index, claim in enumerate(said)
        ]
    return found


def _observed(inspector: Inspector, part: PlantedPart, product: Product) -> EvidenceLog:
    """What the instruments see of a part, before anyone speaks of it."""
    learned = inspector.products.get(product.name)
    loaded = load_asset(part.path, learned.product)
    inspector.store.put(loaded.content, "bin")
    state: Any = {
        "product": product.name,
        "product_version": learned.version,
        "alpha": product.alpha,
        "inputs": [loaded.asset.model_dump(mode="json")],
        "evidence": [],
    }
    for tool in (inspector.instruments.render_asset, inspector.instruments.localize_anomalies):
        outcome = tool("a1", state)
        record = Evidence(id=f"e{len(state['evidence']) + 1}", tool=tool.__name__, summary="", shown=outcome["shown"])
        state["evidence"].append(record.model_dump(mode="json"))
    return EvidenceLog.read(state["evidence"])


def scored(found: Iterable[Checked]) -> dict[str, Any]:
    """Counts by kind and modality, and how far `supported` and `refuted` can be relied on."""
    found = list(found)
    rows = sorted({(each.said.kind, each.modality) for each in found})
    return {
        "lines": [_line(kind, modality, found) for kind, modality in rows],
        "all": _rates(found),
        "counts_known_from_planting": sum(each.said.why == PLANTED for each in found if each.said.kind == "count"),
        "wrong": [
            {"modality": each.modality, "claim": each.said.draft, "true": each.said.true, "why": each.said.why}
            | {"status": each.status, "checked": each.checked}
            for each in found
            if each.status != _due(each.said)
        ],
    }


def _due(said: Said) -> str:
    return "supported" if said.true else "unverified" if said.kind == CLEAN else "refuted"


def _line(kind: str, modality: Modality, found: Sequence[Checked]) -> dict[str, Any]:
    here = [each for each in found if each.said.kind == kind and each.modality == modality]
    return {
        "kind": kind,
        "modality": modality,
        "true": _counts(each for each in here if each.said.true),
        "false": _counts(each for each in here if not each.said.true),
    }


def _counts(found: Iterable[Checked]) -> dict[str, int]:
    statuses: list[str] = [each.status for each in found]
    return {"n": len(statuses)} | {status: statuses.count(status) for status in _STATUSES}


def _rates(found: Sequence[Checked]) -> dict[str, Any]:
    """`refuted_recall` is over the false claims that can be refuted, `refuted_recall_of_all` over every one.

    That a box is clean is by design never proved, so that what is falsely said to be there stays unverified.
    """
    true = _counts(each for each in found if each.said.true)
    false = _counts(each for each in found if not each.said.true)
    clean = _counts(each for each in found if each.said.kind == CLEAN)
    return {
        "true": true,
        "false": false,
        "clean_boxes": clean,
        "supported_precision": _share(true["supported"], true["supported"] + false["supported"]),
        "supported_recall": _share(true["supported"], true["n"]),
        "refuted_precision": _share(false["refuted"], false["refuted"] + true["refuted"]),
        "refuted_recall": _share(false["refuted"] - clean["refuted"], false["n"] - clean["n"]),
        "refuted_recall_of_all": _share(false["refuted"], false["n"]),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def measure(seed: int, parts: int = _PARTS, modalities: Sequence[Modality] = ALL_MODALITIES) -> dict[str, Any]:
    """Every modality, two at a time in processes of their own."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # two processes that each take all cores only wait for each other
    start, found = time.perf_counter(), []
    with (
        tempfile.TemporaryDirectory() as name,
        ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes,
    ):
        # The longest is begun first.
        waiting = {
            modality: processes.submit(examine, modality, Path(name) / modality, seed, parts)
            for modality in sorted(modalities, key=_LONGEST.index)
        }
        for modality in modalities:
            found += waiting[modality].result()
            print(f"{modality}: {len(found)} claims in all", file=sys.stderr, flush=True)  # noqa: T201
    return {
        "seed": seed,
        "parts_of_each_modality": parts,
        **scored(found),
        "left_out": LEFT_OUT,
        "goal": GOAL,
        "seconds": round(time.perf_counter() - start, 1),
    }


_LONGEST: tuple[Modality, ...] = ("video", "point_cloud", "depth", "image", "time_series")


def table_of(result: dict[str, Any]) -> Table:
    """A line a kind and modality."""
    columns = [f"{truth} {column}" for truth in ("true", "false") for column in ("n", *_STATUSES)]
    table = Table("kind", "modality", *columns, title="Verification of claims on planted parts (simulated)")
    everything = {"kind": "all", "modality": "", **result["all"]}
    for line in (*result["lines"], everything):
        counts = [str(line[truth][column]) for truth in ("true", "false") for column in ("n", *_STATUSES)]
        table.add_row(line["kind"], line["modality"], *counts)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON only")
    parser.add_argument("--seed", type=int, default=0, help="of the parts and of the claims")
    parser.add_argument("--modality", choices=get_args(Modality), action="append", help="only these")
    arguments = parser.parse_args()
    result = measure(arguments.seed, modalities=tuple(arguments.modality or ALL_MODALITIES))
    if arguments.json:
        print(json.dumps({"verification": result}))  # noqa: T201
        return
    console = results()
    console.print(table_of(result))
    for name in ("supported_precision", "supported_recall", "refuted_precision", "refuted_recall"):
        console.print(f"{name.replace('_', ' ')}: {result['all'][name]} (goal {GOAL})")
    console.print(
        f"refuted recall with {result['all']['clean_boxes']['n']} claims of a defect where there is none, which no "
        f"instrument can refute: {result['all']['refuted_recall_of_all']}"
    )
    console.print(
        f"{result['counts_known_from_planting']} counts are those of planted defects, found as one region each; "
        "the others are of the regions that the instrument lists"
    )
    for what, why in LEFT_OUT.items():
        console.print(f"left out: {what} {why}")
    for wrong in result["wrong"]:
        console.print(f"not as it is: {json.dumps(wrong)}", soft_wrap=True)
    console.print(f"{result['seconds']:.0f} s")


if __name__ == "__main__":
    main()
