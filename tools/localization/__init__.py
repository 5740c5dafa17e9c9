"""Where is this view unlike the normal references, and how surely?"""

from tools.localization.adaptation import adapt
from tools.localization.adapted import SHIPPED, Adapted, file_name
from tools.localization.altered import AdaptationSettings, NormalProduct
from tools.localization.anomaly_map import Blob, blobs, heat_overlay
from tools.localization.appearance import Appearance, look_at
from tools.localization.backbones import DEFAULT_BACKBONE, Backbone, load_backbone
from tools.localization.calibration import ConformalCalibration, Promise
from tools.localization.devices import usable_device
from tools.localization.features import join_layers
from tools.localization.fitting import (
    Part,
    Progress,
    as_aligned,
    bring_picture_to_scale,
    bring_to_scale,
    fit_localizer,
    see_references,
    tell_alignment,
    without_each,
)
from tools.localization.localizer import Localization, Localizer
from tools.localization.looks import Seen, prepared, see
from tools.localization.manifest import LocalizerSettings, Manifest, parse_looks
from tools.localization.memory import Nearest, PatchMemory
from tools.localization.normal import Normal
from tools.localization.state_texts import noun_of
from tools.localization.weights import fetch_weights
from tools.localization.zero_shot import fit_zero_shot

__all__ = [
    "DEFAULT_BACKBONE",
    "SHIPPED",
    "AdaptationSettings",
    "Adapted",
    "Appearance",
    "Backbone",
    "Blob",
    "ConformalCalibration",
    "Localization",
    "Localizer",
    "LocalizerSettings",
    "Manifest",
    "Nearest",
    "Normal",
    "NormalProduct",
    "Part",
    "PatchMemory",
    "Progress",
    "Promise",
    "Seen",
    "adapt",
    "as_aligned",
    "blobs",
    "bring_picture_to_scale",
    "bring_to_scale",
    "fetch_weights",
    "file_name",
    "fit_localizer",
    "fit_zero_shot",
    "heat_overlay",
    "join_layers",
    "load_backbone",
    "look_at",
    "noun_of",
    "parse_looks",
    "prepared",
    "see",
    "see_references",
    "tell_alignment",
    "usable_device",
    "without_each",
]
