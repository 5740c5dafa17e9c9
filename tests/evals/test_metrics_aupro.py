"""AUPRO against anomalib's, where it is installed."""

import warnings

import numpy as np
import pytest
import torch

from evals.metrics import pixel_scores
from tools.localization.vision_models import import_timm


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("levels", [12, 100_000])
def test_equal_to_anomalib(seed, levels) -> None:
    pytest.importorskip("anomalib")
    import_timm()  # Mends torchvision, which anomalib imports as well.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from anomalib.metrics.aupro import _AUPRO

    random = np.random.default_rng(seed)
    masks = np.zeros((3, 20, 24), np.bool_)
    masks[0, 2:8, 3:9] = masks[1, 1:3, 1:20] = masks[2, 10:14, 10:14] = masks[0, 15, 15] = masks[0, 16, 16] = True
    maps = np.round(levels * (random.random(masks.shape) + 0.5 * masks)).astype(np.float32)
    theirs = _AUPRO(fpr_limit=0.3)
    theirs.update(torch.from_numpy(maps), torch.from_numpy(masks.astype(np.float32)))
    ours = pixel_scores(list(maps), list(masks))
    assert ours is not None
    assert ours.aupro == pytest.approx(float(theirs.compute()), abs=1e-6)
