"""Simulated recordings of a motor's end-of-line run, by formula."""

import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from knowledge import write_atomically

DEFECTS = ("current spike", "speed sag", "vibration")

CHANNELS = ("speed_rpm", "current_a", "vibration_g", "temperature_c")
RATE = 20.0
SECONDS = 30.0
EVENT = (14.0, 16.0)
"""Seconds in which a defect shows."""

_BEGIN = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=datetime.UTC)


def write_run(path: Path, seed: int, defect: str = "") -> Path:
    """A CSV file with a time stamp and four channels, 20 samples a second."""
    values = draw_run(seed, defect)
    begin = _BEGIN + datetime.timedelta(minutes=seed)
    times = [begin + datetime.timedelta(seconds=index / RATE) for index in range(len(values))]
    rows = [
        ",".join([time.isoformat(timespec="milliseconds"), *(f"{value:.5g}" for value in row)])
        for time, row in zip(times, values, strict=True)
    ]
    write_atomically(path, "\n".join([",".join(("time", *CHANNELS)), *rows, ""]).encode())
    return path


def draw_run(seed: int, defect: str = "") -> NDArray[np.float64]:
    """(T, 4) samples of `CHANNELS`."""
    random = np.random.default_rng([seed, DEFECTS.index(defect) + 1 if defect else 0])
    time = np.arange(round(SECONDS * RATE)) / RATE
    begin, end = 2 + random.uniform(-0.3, 0.3), 26 + random.uniform(-0.3, 0.3)
    ramp = np.clip((time - begin) / 4, 0, 1) * np.clip((end + 3 - time) / 3, 0, 1)
    event = (time >= EVENT[0]) & (time < EVENT[1])
    speed = 3000 * ramp * (1 + random.uniform(-0.01, 0.01))
    if defect == "speed sag":
        speed = speed - 260 * event * np.sin(np.pi * (time - EVENT[0]) / (EVENT[1] - EVENT[0]))
    pull = np.gradient(speed, time).clip(0) / 200
    current = 0.4 + 1.8 * ramp + pull + 0.05 * np.sin(2 * np.pi * 1.3 * time)
    if defect == "current spike":
        current = current + 1.1 * event
    shake = 0.05 + 0.25 * speed / 3000 + (0.35 * event if defect == "vibration" else 0)
    temperature = 24 + random.uniform(-1, 1) + 12 * np.cumsum(current) / np.cumsum(np.full_like(time, 60)).max()
    noise = random.normal(0, 1, (4, len(time)))
    channels = [speed + 8 * noise[0], current + 0.04 * noise[1], np.abs(shake * (1 + 0.25 * noise[2]))]
    return np.stack([*channels, temperature + 0.03 * noise[3]], axis=1)
