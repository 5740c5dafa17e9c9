"""Parts in three dimensions: points of their surface or heights over a plane, and how they depart from normal ones."""

from tools.geometry.height_fitting import fit_height_map
from tools.geometry.height_localizer import HeightLocalizer
from tools.geometry.height_map import HeightMap, looks_like_height_map, read_height_map
from tools.geometry.point_cloud import PointCloud, looks_like_point_cloud, read_point_cloud
from tools.geometry.point_cloud_localizer import PointCloudLocalizer, fit_point_clouds
from tools.geometry.supporting_plane import without_plane

__all__ = [
    "HeightLocalizer",
    "HeightMap",
    "PointCloud",
    "PointCloudLocalizer",
    "fit_height_map",
    "fit_point_clouds",
    "looks_like_height_map",
    "looks_like_point_cloud",
    "read_height_map",
    "read_point_cloud",
    "without_plane",
]
