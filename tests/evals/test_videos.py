"""Events in videos: how they are matched, and a whole run on a tiny set."""

import json

import numpy as np
import pytest

from agent.simulated.conveyor import encode
from evals.video_peers import Background, load_video_peer
from evals.videos import match_events, run_videos, videos_table
from knowledge import AssetError, RequestError


def test_events_are_matched_by_hand() -> None:
    figures = match_events([(2.0, 4.0), (6.0, 8.0)], [(1.5, 2.5), (3.0, 4.5), (10.0, 11.0)])
    assert (figures["found"], figures["missed"], figures["false"]) == (1, 1, 1)
    first, second = figures["events"]
    assert (first["begin_error"], first["end_error"], first["pieces"]) == (-0.5, 0.5, 2)
    assert second["found"] is None
    assert figures["false_at"] == [(10.0, 11.0)]


def test_nothing_happens_and_nothing_is_found() -> None:
    figures = match_events([], [])
    assert (figures["found"], figures["missed"], figures["false"]) == (0, 0, 0)


def test_a_background_is_subtracted() -> None:
    random = np.random.default_rng(0)
    normal = (100 + random.normal(0, 2, (12, 20, 20, 1))).astype(np.uint8).repeat(3, axis=3)
    odd = normal[:1].copy()
    odd[0, :10, :10] = 200
    peer = Background()
    peer.fit(normal)
    assert peer.score(normal).max() < 0.02
    assert peer.score(odd)[0] == pytest.approx(0.25, abs=0.02)


def test_an_unknown_peer_is_refused() -> None:
    with pytest.raises(RequestError, match="no peer is called"):
        load_video_peer("guess")


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory):
    """Six seconds of a wall with a plate, of which the first three are normal; from 3.6 to 4.6 s something dark is there."""
    source = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    frames = []
    for number in range(60):
        frame = np.full((64, 96, 3), 130.0)
        frame[20:40, 10:40] = (170, 150, 90)
        if 36 <= number <= 46:
            frame[8:50, 50:84] = (30, 20, 25)
        frames.append(np.clip(frame + random.normal(0, 2, frame.shape), 0, 255).astype(np.uint8))
    encode(source / "video" / "tiny" / "wall.mp4", frames, 10)
    about = {"n_frames": 60, "fps": 10, "train_frames": [0, 30], "intervals": [[36, 46]]}
    (source / "video" / "tiny" / "labels.json").write_text(json.dumps({"files": {"wall.mp4": about}}))
    return source


def test_a_run_finds_the_event_and_says_how_exactly(tiny_set) -> None:
    told = []
    result = run_videos(tiny_set, ["tiny"], progress=lambda what, done, total: told.append((what, done, total)))
    ours = result["videos"][0]["detectors"]["anomalyst"]
    assert (ours["found"], ours["missed"], ours["false"]) == (1, 0, 0)
    assert abs(ours["events"][0]["begin_error"]) <= 0.5
    assert abs(ours["events"][0]["end_error"]) <= 0.5
    assert ours["frame_auroc"] > 0.85
    assert told == [("tiny/wall", 0, 1)]
    json.dumps(result, allow_nan=False)
    table = videos_table(result, markdown=True)
    assert table.row_count == 4
    assert "background" in result["total"]


def test_no_videos_there_is_said(tmp_path) -> None:
    with pytest.raises(AssetError, match="no labelled videos"):
        run_videos(tmp_path, ["tiny"])
