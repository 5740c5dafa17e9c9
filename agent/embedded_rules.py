"""The rules by which the embedded model plans and judges: plain functions from a briefing to an answer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from knowledge import DefectType, name_defect

Briefing = Mapping[str, Any]

LOOKED_AT = 3
"""Regions that are measured, examined and compared; the others are named and not looked into."""

_CLEAR_CONTRAST = 0.03
"""Shares of full white; a region holds more than its defect, and a faint mean says nothing of the defect itself."""


_NAMED = 3
"""Channels that are named in a title."""

_TOLD = 4
"""Measurements of an asset's own data that are told and claimed."""

_SAYING = (
    "depth",
    "deviation_max",
    "volume",
    "duration",
    "area_mm2",
    "area_share",
    "points",
    "area",
    "samples",
    "peak",
)
"""Ends of the names of measurements, what says most first."""


def propose_steps(briefing: Briefing) -> list[dict[str, str]]:
    """The next steps; how many of them the budget allows is for the graph to say."""
    done = {(step["tool"], step["target"]) for step in briefing["done"]}
    steps = []
    for asset in briefing["assets"]:
        regions = [region["id"] for region in briefing["regions"] if region["asset"] == asset["id"]]
        wanted = (
            _first_look(asset["id"])
            if ("render_asset", asset["id"]) not in done
            else _second_look(asset["id"], regions)
        )
        steps += [step for step in wanted if (step["tool"], step["target"]) not in done]
    return steps


def _first_look(asset: str) -> list[dict[str, str]]:
    return [
        _step("render_asset", asset, "see the part and whether it can be judged"),
        _step("localize_anomalies", asset, "find where it is unlike normal parts, and how surely"),
        _step("retrieve_knowledge", asset, "know what normal means here"),
    ]


def _second_look(asset: str, regions: list[str]) -> list[dict[str, str]]:
    steps = [
        _step("check_rules", asset, "check what can be measured of the rules"),
        _step("reason_about_anomaly", asset, "state what was found in claims that can be checked"),
    ]
    for region in regions[:LOOKED_AT]:
        steps += [
            _step("measure_region", region, "know its size, place and contrast"),
            _step("compare_with_reference", region, "see the same place on a normal part"),
            _step("examine_region", region, "look closer"),
        ]
    return steps


def _step(tool: str, target: str, purpose: str) -> dict[str, str]:
    return {"tool": tool, "target": target, "purpose": purpose}


def assess(briefing: Briefing) -> dict[str, Any]:
    """An assessment in the schema that every reasoner fills."""
    localized = briefing["localization"]
    regions = briefing["regions"]
    looked_at = [region for region in regions if "measurements" in region]
    claims = [claim for region in looked_at for claim in _region_claims(region)]
    if localized is not None and localized["calibrated"]:
        claims.append(_count_claim(briefing, localized["count"]))
    claims += [_rule_claim(check) for check in briefing["rule_checks"] if check["result"] != "not_checked"]
    return {
        "opinion": _opinion(briefing),
        "explanation": _explanation(briefing),
        "findings": [_finding(briefing, region) for region in looked_at],
        "claims": claims,
        "rule_answers": [_rule_answer(rule, briefing) for rule in briefing["rules"]],
    }


def _opinion(briefing: Briefing) -> str:
    localized = briefing["localization"]
    if localized is None or not localized["calibrated"] or localized["unlike"]:
        return "unsure"
    if briefing["part"]["unsuitable"] or briefing["failures"]:
        return "unsure"
    violated = any(check["result"] == "violated" for check in briefing["rule_checks"])
    return "anomalous" if violated or localized["p_value"] <= localized["alpha"] else "normal"


def _explanation(briefing: Briefing) -> str:
    localized = briefing["localization"]
    if localized is None:
        return "The part was not localised, so there is nothing to judge by."
    where = ", ".join(
        f"{region['id']} {_where(region)}" for region in briefing["regions"] if "side" in region or region.get("native")
    )
    found = f"Regions over threshold: {where}." if where else "No region is over threshold."
    return (
        f"Judged by rules over measurements: anomaly score {localized['score']:.3f}, "
        f"p-value {localized['p_value']:.4g} against alpha {localized['alpha']:g}. {found}"
    )


def _finding(briefing: Briefing, region: Mapping[str, Any]) -> dict[str, Any]:
    types = [DefectType.model_validate(value) for value in briefing["defect_types"]]
    values = region["measurements"]
    defect, why = name_defect(types, values, briefing["part"]["measurements"])
    title = defect.name.replace("_", " ").capitalize() if defect else "Unlike the normal references"
    if "side" not in region:
        return {
            "region": region["id"],
            "title": f"{title} {_where(region)}",
            "defect_type": defect.name if defect else None,
            "severity": defect.severity if defect else "major",
            "explanation": f"{_told(values)}; {why}.",
        }
    tone = _tone(values)
    contrast = f"is {abs(values['contrast']):.3f} {tone} than its surroundings and " if tone else "is "
    return {
        "region": region["id"],
        "title": f"{title} in the {region['side']}",
        "defect_type": defect.name if defect else None,
        "severity": defect.severity if defect else "major",
        "explanation": f"The region covers {_percent(values['area_share'])} of the view, {contrast}"
        f"{values['elongation']:.1f} times as long as wide; {why}.",
    }


def _percent(share: float) -> str:
    """Two decimals, or two digits of what is smaller."""
    return f"{share:.2%}" if share >= 1e-4 else f"{100 * share:.2g}%"


def _tone(values: Mapping[str, float]) -> str:
    """Darker or brighter than the surroundings; empty where a region of many patches is hardly either."""
    if abs(values["contrast"]) < _CLEAR_CONTRAST:
        return ""
    return "darker" if values["contrast"] < 0 else "brighter"


def _where(region: Mapping[str, Any]) -> str:
    """Where a region lies: on the picture, or in the terms of the asset itself."""
    native = region.get("native", {})
    if "side" in region:
        return f"in the {region['side']}"
    if "start" in native:
        unit = native.get("unit", "")
        start, end = (_moment(native[name], unit) for name in ("start", "end"))
        return f"from {start} to {end} on {_channels(native['channels'])}"
    if "seconds" in native:
        return "from {:.2f} s to {:.2f} s".format(*native["seconds"])
    centre = ", ".join(f"{number:.4g}" for number in native.get("centroid", ()))
    if "pixels" in native:
        return f"around pixel ({centre})"
    return f"around ({centre}) {native.get('unit') or ''}".rstrip()


def _moment(stamp: object, unit: str) -> str:
    """A time stamp without the zeros that nobody needs; a number with its unit where there are no absolute times."""
    if isinstance(stamp, str):
        return re.sub(r"(\.\d*?)0+(?!\d)", r"\1", stamp).replace(".+", "+").replace("T", " ")
    return f"row {stamp:.0f}" if unit == "rows" else f"{stamp:.6g} {unit}"


def _channels(names: Sequence[str]) -> str:
    shown = ", ".join(str(name) for name in names[:_NAMED])
    return shown + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _telling(values: Mapping[str, float]) -> list[str]:
    """The measurements that say most, first: how deep, how far off, how large, how long."""
    return sorted((name for name in values if _rank(name) < len(_SAYING)), key=lambda name: (_rank(name), name))[:_TOLD]


def _rank(name: str) -> int:
    return next((rank for rank, ending in enumerate(_SAYING) if name.endswith(ending)), len(_SAYING))


def _told(values: Mapping[str, float]) -> str:
    """The measurements that say most in one line."""
    told = [f"{name.replace('_', ' ')} {values[name]:.4g}" for name in _telling(values)]
    return "Measured on the asset's own data: " + ", ".join(told)


def _native_claims(region: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of what is measured on points or samples: that it is there, when it was, and its first numbers."""
    id_, values, evidence = region["id"], region["measurements"], region["evidence"]
    claims = [_claim("presence", id_, f"Region {id_} is unlike every normal reference.", evidence[:1])]
    for attribute in ("start", "end"):
        name = f"{attribute}_s" if f"{attribute}_s" in values else attribute
        if name in values:
            text = f"The {attribute} of region {id_} is at {values[name]:.4f} s."
            claims.append(_claim("time", id_, text, evidence[1:2], attribute=attribute, number=values[name]))
    numbers = _telling(values)
    claims += [
        _claim(
            "number",
            id_,
            f"Its {name.replace('_', ' ')} is {values[name]:.4g}.",
            evidence[1:2],
            attribute=name,
            number=values[name],
        )
        for name in numbers
    ]
    return claims


def _region_claims(region: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "side" not in region:
        return _native_claims(region)
    id_, values, evidence = region["id"], region["measurements"], region["evidence"]
    claims = [
        _claim("presence", id_, f"Region {id_} is unlike every normal reference.", evidence[:1]),
        _claim("place", id_, f"Region {id_} lies in the {region['side']}.", evidence[1:2], word=region["side"]),
        _claim(
            "size",
            id_,
            f"The region covers {_percent(values['area_share'])} of the view.",
            evidence[1:2],
            number=values["area_share"],
        ),
    ]
    tone = _tone(values)
    if tone:
        claims.append(_claim("colour", id_, f"The region is {tone} than its surroundings.", evidence[1:2], word=tone))
    claims.append(
        _claim(
            "number",
            id_,
            f"The region is {values['elongation']:.1f} times as long as wide.",
            evidence[1:2],
            attribute="elongation",
            number=values["elongation"],
        )
    )
    return claims


def _count_claim(briefing: Briefing, count: int) -> dict[str, Any]:
    text = f"{count} region{'' if count == 1 else 's'} of the view {'is' if count == 1 else 'are'} over threshold."
    return _claim("count", briefing["view"]["id"], text, [briefing["localization"]["evidence"]], number=count)


def _rule_claim(check: Mapping[str, Any]) -> dict[str, Any]:
    word = "kept" if check["result"] == "passed" else "violated"
    return _claim("rule", check["rule"], f"Rule {check['rule']} is {word}.", [check["evidence"]], word=word)


def _rule_answer(rule: Mapping[str, Any], briefing: Briefing) -> dict[str, Any]:
    result = next((check["result"] for check in briefing["rule_checks"] if check["rule"] == rule["id"]), "not_checked")
    answer = {"passed": "yes", "violated": "no"}.get(result, "cannot_tell")
    reason = "by measurement" if answer != "cannot_tell" else "a rule-based model does not look at pictures"
    return {"rule": rule["id"], "answer": answer, "reason": reason}


def _claim(kind: str, subject: str, text: str, evidence: list[str], **said: Any) -> dict[str, Any]:
    return {"kind": kind, "subject": subject, "text": text, "evidence": evidence, **said}
