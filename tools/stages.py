"""Which tools there are, and the order in which their steps run."""

STAGES = {
    "render_asset": 0,
    "localize_anomalies": 1,
    "retrieve_knowledge": 1,
    "measure_region": 2,
    "examine_region": 2,
    "compare_with_reference": 2,
    "check_rules": 3,
    "reason_about_anomaly": 4,
}
"""Steps of one stage do not need each other and run together; a stage needs the evidence of those before it."""


REGION_TOOLS = frozenset({"measure_region", "examine_region", "compare_with_reference"})
"""Tools that take a region's id; the others take an asset's."""
