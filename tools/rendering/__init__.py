"""One modality a file -> list of rendered views."""

from tools.rendering.image import render_crop, render_image

__all__ = ["render_crop", "render_image"]
