"""Videos: frames with their times, and where and when they are unlike normal ones."""

from tools.motion.events import Interval, intervals_of, places_of
from tools.motion.frame_folder import is_frame_folder, pack_folder
from tools.motion.video import Video, looks_like_video, measure_part, read_frames, read_video
from tools.motion.video_fitting import fit_video
from tools.motion.video_localizer import STRETCH, Threshold, VideoLocalizer, provisional_threshold, stretches

__all__ = [
    "STRETCH",
    "Interval",
    "Threshold",
    "Video",
    "VideoLocalizer",
    "fit_video",
    "intervals_of",
    "is_frame_folder",
    "looks_like_video",
    "measure_part",
    "pack_folder",
    "places_of",
    "provisional_threshold",
    "read_frames",
    "read_video",
    "stretches",
]
