"""Where is this view unlike the normal references, and how surely?"""

from tools.localization.anomaly_map import Blob, blobs, heat_overlay
from tools.localization.backbones import DEFAULT_BACKBONE, Backbone, load_backbone
from tools.localization.calibration import ConformalCalibration, Promise
from tools.localization.fitting import Part, Progress, fit_localizer
from tools.localization.localizer import Localization, Localizer
from tools.localization.manifest import LocalizerSettings, Manifest
from tools.localization.template import Template
from tools.localization.weights import fetch_weights

__all__ = [
    "DEFAULT_BACKBONE",
    "Backbone",
    "Blob",
    "ConformalCalibration",
    "Localization",
    "Localizer",
    "LocalizerSettings",
    "Manifest",
    "Part",
    "Progress",
    "Promise",
    "Template",
    "blobs",
    "fetch_weights",
    "fit_localizer",
    "heat_overlay",
    "load_backbone",
]
