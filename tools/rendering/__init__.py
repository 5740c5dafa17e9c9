"""One modality a file -> list of rendered views."""

from tools.rendering.image import render_crop, render_image, view_pixels
from tools.rendering.open3d_library import import_open3d

__all__ = ["import_open3d", "render_crop", "render_image", "view_pixels"]
