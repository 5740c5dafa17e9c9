"""Learning a product of which there is not a single normal part: from a text tower's idea of flaws."""

import numpy as np

from knowledge import FittedPartError
from tools.localization.adapted import NO_PROMPTS, SHIPPED
from tools.localization.anomaly_map import MapScale
from tools.localization.appearance import unseen
from tools.localization.backbones import load_backbone
from tools.localization.calibration import ConformalCalibration
from tools.localization.imaging import ImagingRange
from tools.localization.localizer import Localizer
from tools.localization.looks import see
from tools.localization.manifest import FORMAT, LocalizerSettings, Manifest
from tools.localization.normal import Normal
from tools.localization.state_texts import StateTexts
from tools.localization.text_tower import no_texts


def fit_zero_shot(noun: str, settings: LocalizerSettings) -> Localizer:
    """A localiser by texts alone, which call the product by its `noun`; its map is of logits, and promises nothing.

    Raises `FittedPartError` where the backbone has no texts that its places can be compared with.
    """
    if settings.prompts not in (SHIPPED, NO_PROMPTS):
        raise FittedPartError(
            "learned prompts compare a part with references, and there are none; leave the prompts out"
        )
    backbone = load_backbone(settings.backbone, settings.weights)
    if backbone.text is None:
        raise no_texts(backbone.name)
    glance = see(backbone, np.zeros((64, 64, 3), np.uint8), (64 * 64,), as_texts=True)
    texts = StateTexts.of(noun, backbone.text)
    return Localizer(
        backbone,
        Normal((), texts=texts),
        ImagingRange.unknown(),
        MapScale(0.0, 1.0),
        ConformalCalibration([], "cross"),
        np.zeros((0, len(glance.embedding)), np.float32),
        Manifest(
            format=FORMAT,
            settings=settings,
            appearance=unseen(settings.areas),
            backbone_sha256=backbone.weights_sha256,
            precision=backbone.precision,
            noun=noun,
            memory_parts=(),
            calibration_parts=(),
            scheme="cross",
            tensors_sha256="",
        ),
    )
