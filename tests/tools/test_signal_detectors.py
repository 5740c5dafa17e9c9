"""The detectors of recordings, each by a case worked by hand."""

import numpy as np
import pytest

from tools.signals.channel_scale import ChannelScale
from tools.signals.ensemble import Ensemble, Scale, fit_ensemble, saturated
from tools.signals.lagged_components import Hotelling, Lags, OwnResidual, Residual
from tools.signals.nearest_windows import LeastWindows, RawWindows, ShapeWindows
from tools.signals.statistics import LeastStatistics, WindowStatistics

RNG = np.random.default_rng(7)
WAVE = np.sin(2 * np.pi * np.arange(600) / 25)[None] + 0.05 * RNG.normal(size=(1, 600))


def test_the_scale_of_channels() -> None:
    scale = ChannelScale.fit([np.array([[1.0, 2, 3, 4, 5], [7, 7, 7, 7, 7], [0, 0, 0, 0, 1]])])
    assert scale.median.tolist() == [3, 7, 0]
    assert scale.deviation[0] == pytest.approx(1.4826)
    assert scale.deviation[2] > 0
    assert scale.constant.tolist() == [False, True, False]
    assert scale.live.tolist() == [0, 2]
    moved = scale.moved(np.array([[9.0, 9], [7, 7.1], [0, 9]]))
    assert moved.tolist() == [[False, False], [False, True], [False, False]]
    assert scale.scaled(np.array([[1e9], [0], [0]]))[0, 0] == 50


def test_statistics_notice_a_level() -> None:
    normal = RNG.normal(size=(2, 400))
    judged = RNG.normal(size=(2, 400))
    judged[1, 200:260] += 3
    said = WindowStatistics.fit([normal], [4, 16]).contributions(judged).of_channels
    assert said[1, 210:250].mean() > 2 * said[1, :180].mean()
    assert said[0, 210:250].mean() < 1.5 * said[0, :180].mean()


def test_statistics_of_a_constant_by_hand() -> None:
    normal = np.tile([[0.0, 1.0]], 50)
    detector = WindowStatistics([2], np.array([[0.5], [np.log(0.55)], [np.log(1.05)]]), np.array([[0.5], [1.0], [1.0]]))
    said = detector.contributions(normal).of_channels
    np.testing.assert_allclose(said[:, 2:], 0, atol=1e-9)
    level = detector.contributions(normal + 1.5).of_channels[0, 10]
    assert level == pytest.approx((1.5 / 0.5) / 3**0.5)


def test_nearest_windows_by_hand() -> None:
    normal = np.zeros((1, 40))
    normal[0, 20:] = 1.0
    detector = RawWindows.fit([normal], 4, 1)
    assert detector.contributions(np.zeros((1, 12))).of_channels.max() == 0
    np.testing.assert_allclose(detector.contributions(np.full((1, 12), 3.0)).of_channels, 2.0, atol=1e-6)


def test_shape_alone_does_not_mind_the_level() -> None:
    shape, raw = ShapeWindows.fit([WAVE], 25, 1), RawWindows.fit([WAVE], 25, 1)
    assert shape.contributions(WAVE + 5).of_channels.mean() < 0.2
    assert raw.contributions(WAVE + 5).of_channels.mean() > 4
    faster = np.sin(2 * np.pi * np.arange(600) / 8)[None]
    assert shape.contributions(faster).of_channels.mean() > 0.5


def test_components_notice_a_broken_relation() -> None:
    first = RNG.normal(size=500)
    normal = np.stack([first, first, -first]) + 0.05 * RNG.normal(size=(3, 500))
    judged = normal.copy()
    judged[1, 300:] *= -1
    said = Residual.fit([normal], Lags(1, 1)).contributions(judged).of_channels
    assert said[1, 300:].mean() > 10 * said[1, :300].mean()
    assert said[1, 300:].mean() > said[0, 300:].mean()
    further = Hotelling.fit([normal], Lags(1, 1)).contributions(4 * normal)
    assert further.together is not None
    assert further.together.mean() > 3


def test_a_residual_of_one_sample_does_not_spread() -> None:
    judged = WAVE.copy()
    judged[0, 300] += 5
    own = OwnResidual.fit([WAVE], Lags(25, 1)).contributions(judged).of_channels[0]
    spread = Residual.fit([WAVE], Lags(25, 1)).contributions(judged).of_channels[0]
    assert own.argmax() == 300
    assert own[304] < 0.2 * own[300]
    assert spread[304] > 0.8 * spread[300]


@pytest.mark.parametrize("length", [4, 5])
def test_the_least_odd_window_decides_by_hand(length: int) -> None:
    judged = np.zeros((1, 40))
    judged[0, 17:20] = 3.0
    found = LeastWindows.fit([np.zeros((1, 40))], length, 1).contributions(judged).of_channels[0]
    assert np.flatnonzero(found > 1e-6).tolist() == [17, 18, 19]
    short = LeastWindows.fit([np.zeros((1, 40))], length, 1).contributions(np.ones((1, 3))).of_channels
    np.testing.assert_allclose(short, 1.0)


def test_the_least_odd_statistics_light_up_nothing_else() -> None:
    normal, judged = RNG.normal(size=(1, 400)), RNG.normal(size=(1, 400))
    judged[0, 200:230] += 6
    least = LeastStatistics.fit([normal], [8]).contributions(judged).of_channels[0]
    centred = WindowStatistics.fit([normal], [8]).contributions(judged).of_channels[0]
    assert (least <= centred).all()
    assert least[[194, 235]].max() < 0.5 * least[205:225].min()


def test_hotelling_by_hand() -> None:
    detector = Hotelling(Lags(1, 1), np.zeros(2), np.eye(2), np.array([4.0, 1.0]))
    said = detector.contributions(np.array([[2.0], [3.0]]))
    assert said.together is not None
    assert said.together[0] == pytest.approx(((1 + 9) / 2) ** 0.5)
    np.testing.assert_allclose(said.of_channels[:, 0], [1.0, 3.0])


def test_saturation_is_smooth_and_never_falls() -> None:
    z = np.linspace(0, 100, 1001)
    out = saturated(z)
    assert np.array_equal(out[z <= 5], z[z <= 5])
    assert (np.diff(out) > 0).all()
    assert out[-1] == pytest.approx(5 * (1 + np.log(20)))


def test_a_scale_holds_the_median_at_zero() -> None:
    values = RNG.normal(3, 2, 5000)
    scale = Scale.fit(values)
    assert scale.median == pytest.approx(3, abs=0.1)
    assert scale.deviation == pytest.approx(2, abs=0.15)
    assert (scale.apply(values)[values <= scale.median] == 0).all()


def test_an_ensemble_comes_back_from_its_tensors() -> None:
    pieces = [np.concatenate([WAVE, RNG.normal(size=(1, 600))])]
    folds = [([pieces[0][:, :300]], [pieces[0][:, 300:]])]
    ensemble, levels = fit_ensemble(pieces, folds, 12, lambda done, of: None)
    assert [len(level) for level in levels] == [300]
    again = Ensemble.of_tensors(ensemble.tensors(), 2)
    odd = pieces[0] + 4 * (np.arange(600) > 500)
    assert np.array_equal(again.judge(odd).together, ensemble.judge(odd).together)
    assert ensemble.judge(odd).shares.max(axis=0) == pytest.approx(1.0)
    with pytest.raises((ValueError, KeyError)):
        Ensemble.of_tensors(ensemble.tensors(), 3)
    with pytest.raises(KeyError):
        Ensemble.of_tensors({}, 2)
