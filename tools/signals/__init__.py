"""Sensor recordings: their data, and where they are unlike normal ones."""

from tools.signals.recording import Recording, looks_like_recording, measure_part, read_recording
from tools.signals.recording_fitting import fit_recording
from tools.signals.recording_localizer import RecordingLocalizer

__all__ = [
    "Recording",
    "RecordingLocalizer",
    "fit_recording",
    "looks_like_recording",
    "measure_part",
    "read_recording",
]
