"""Floor 1: instruments, every one usable without an agent.

The door opens a room only when something in it is asked for, so that `import tools` costs nothing: torch is loaded with
the localiser, and LangChain with the toolbox.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tools.stages import REGION_TOOLS, STAGES

if TYPE_CHECKING:
    from tools.artifacts import ArtifactStore
    from tools.assessment import Assessment, ClaimDraft, FindingDraft, RuleAnswer
    from tools.assets import Asset, Limits, LoadedImage, Window, clean_name, decode_image, load_image
    from tools.evidence import (
        Assessed,
        Compared,
        Evidence,
        EvidenceLog,
        Examined,
        Failed,
        KnowledgeFound,
        Localized,
        RegionMeasured,
        RulesChecked,
        SimilarReference,
        ViewsShown,
    )
    from tools.instruments import InspectionState, Instruments
    from tools.learned import LearnedProduct, LearnedProducts, window_of
    from tools.localization import (
        DEFAULT_BACKBONE,
        Localization,
        Localizer,
        LocalizerSettings,
        Part,
        Progress,
        blobs,
        fit_localizer,
        heat_overlay,
        load_backbone,
        read_manifest,
    )
    from tools.measuring import Measurement, as_values, measure_part, measure_region, pixel_size_of, side_of
    from tools.prompts import BRIEFING_TITLE, REASONER_PROMPT_VERSION
    from tools.reasoning import ModelUse, NoAnswer, Panel, Reply, ask, briefing_text
    from tools.rendering import import_open3d
    from tools.toolbox import build_tools, describe_tool_error
    from tools.views import Box, Region, RenderedView

_ROOMS = {
    "tools.artifacts": ("ArtifactStore",),
    "tools.assessment": ("Assessment", "ClaimDraft", "FindingDraft", "RuleAnswer"),
    "tools.assets": ("Asset", "Limits", "LoadedImage", "Window", "clean_name", "decode_image", "load_image"),
    "tools.evidence": (
        *("Assessed", "Compared", "Evidence", "EvidenceLog", "Examined", "Failed", "KnowledgeFound", "Localized"),
        *("RegionMeasured", "RulesChecked", "SimilarReference", "ViewsShown"),
    ),
    "tools.instruments": ("InspectionState", "Instruments"),
    "tools.learned": ("LearnedProduct", "LearnedProducts", "window_of"),
    "tools.localization": (
        *("DEFAULT_BACKBONE", "Localization", "Localizer", "LocalizerSettings", "Part", "Progress", "blobs"),
        *("fit_localizer", "heat_overlay", "load_backbone", "read_manifest"),
    ),
    "tools.measuring": ("Measurement", "as_values", "measure_part", "measure_region", "pixel_size_of", "side_of"),
    "tools.prompts": ("BRIEFING_TITLE", "REASONER_PROMPT_VERSION"),
    "tools.reasoning": ("ModelUse", "NoAnswer", "Panel", "Reply", "ask", "briefing_text"),
    "tools.rendering": ("import_open3d",),
    "tools.toolbox": ("build_tools", "describe_tool_error"),
    "tools.views": ("Box", "Region", "RenderedView"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "BRIEFING_TITLE",
    "DEFAULT_BACKBONE",
    "REASONER_PROMPT_VERSION",
    "REGION_TOOLS",
    "STAGES",
    "ArtifactStore",
    "Assessed",
    "Assessment",
    "Asset",
    "Box",
    "ClaimDraft",
    "Compared",
    "Evidence",
    "EvidenceLog",
    "Examined",
    "Failed",
    "FindingDraft",
    "InspectionState",
    "Instruments",
    "KnowledgeFound",
    "LearnedProduct",
    "LearnedProducts",
    "Limits",
    "LoadedImage",
    "Localization",
    "Localized",
    "Localizer",
    "LocalizerSettings",
    "Measurement",
    "ModelUse",
    "NoAnswer",
    "Panel",
    "Part",
    "Progress",
    "Region",
    "RegionMeasured",
    "RenderedView",
    "Reply",
    "RuleAnswer",
    "RulesChecked",
    "SimilarReference",
    "ViewsShown",
    "Window",
    "as_values",
    "ask",
    "blobs",
    "briefing_text",
    "build_tools",
    "clean_name",
    "decode_image",
    "describe_tool_error",
    "fit_localizer",
    "heat_overlay",
    "import_open3d",
    "load_backbone",
    "load_image",
    "measure_part",
    "measure_region",
    "pixel_size_of",
    "read_manifest",
    "side_of",
    "window_of",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'tools' has no attribute {name!r}")
    return getattr(import_module(_ROOM_OF[name]), name)
