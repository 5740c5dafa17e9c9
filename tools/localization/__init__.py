"""Where is this view unlike the normal references, and how surely?"""

from tools.localization.adaptation import AdaptationSettings, NormalProduct, adapt
from tools.localization.adapted import SHIPPED, Adapted, file_name
from tools.localization.anomaly_map import Blob, blobs, heat_overlay
from tools.localization.appearance import Appearance, look_at
from tools.localization.backbones import DEFAULT_BACKBONE, Backbone, load_backbone
from tools.localization.calibration import ConformalCalibration, Promise
from tools.localization.fitting import Part, Progress, bring_to_scale, fit_localizer
from tools.localization.localizer import Localization, Localizer
from tools.localization.looks import Seen, see
from tools.localization.manifest import LocalizerSettings, Manifest, parse_looks
from tools.localization.memory import Nearest, PatchMemory
from tools.localization.normal import Normal
from tools.localization.template import Template
from tools.localization.weights import fetch_weights

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
    "Template",
    "adapt",
    "blobs",
    "bring_to_scale",
    "fetch_weights",
    "file_name",
    "fit_localizer",
    "heat_overlay",
    "load_backbone",
    "look_at",
    "parse_looks",
    "see",
]
