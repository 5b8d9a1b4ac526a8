"""Features of videos: streams side by side, crops, batches, and what the sidecar says of them."""

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mmwtal.features.backbones.base import RANDOM, BaseFeatureBackbone, Preprocessing
from mmwtal.features.extractor import VideoExtractor
from mmwtal.features.reading import read_stretches
from mmwtal.formats.sidecar import read_sidecar
from mmwtal.utils.errors import UserError
from mmwtal.video.container import VideoError
from mmwtal.video.reader import iterate_frames

from ..video.video_files import write_video

pytest.importorskip('av', reason='needs PyAV: pip install "mmwtal[priors]"')

TINY = {'type': 'TinyRandom', 'width': 6, 'side': 16}
FLOW = {'type': 'DISFlow', 'preset': 'ultrafast'}
RGB_STREAM = {'name': 'rgb', 'backbone': TINY}
FLOW_STREAM = {'name': 'flow', 'backbone': {**TINY, 'channels': 2}, 'flow': FLOW}


class Quadrants(BaseFeatureBackbone):
    """The mean of each channel in each quarter of the picture, over all frames."""

    def __init__(self, *, channels: int = 3) -> None:
        preprocessing = Preprocessing(
            crop=32, short_side=40, scale='0-255', flow_bound=255 / 2 if channels == 2 else None
        )
        super().__init__(
            width=4 * channels, channels=channels, frames=None, preprocessing=preprocessing, weights=RANDOM
        )

    def forward(self, clips: Tensor) -> Tensor:
        return functional.adaptive_avg_pool2d(clips.mean(2), 2).flatten(1)


class Flat(Quadrants):
    """Sees whole pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.preprocessing = Preprocessing(crop=32, short_side=None, scale='0-255')


@pytest.fixture(scope='module')
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp('videos') / 'film.mp4')


def extractor(*streams: dict, **options) -> VideoExtractor:
    made = {'fps': 10.0, 'window': 4, 'stride': 4, 'batch_size': 3, 'device': 'cpu'}
    return VideoExtractor(streams=streams or [RGB_STREAM], **{**made, **options})


def quarters(pictures: np.ndarray) -> np.ndarray:
    """Return the means of (T, 32, 32, 3) as Quadrants does, (12,)."""
    return pictures.reshape(-1, 2, 16, 2, 16, 3).mean((0, 2, 4)).transpose(2, 0, 1).reshape(-1)


def test_streams_lie_side_by_side(film: Path) -> None:
    both = extractor(RGB_STREAM, FLOW_STREAM)
    assert (both.width, both.channels_of) == (12, {'rgb': (0, 6), 'flow': (6, 12)})
    video = both.extract(film)
    assert (video.features.shape, video.features.dtype) == ((10, 12), np.float32)
    assert (video.frames, video.duration) == (40, pytest.approx(4.0, abs=1e-3))
    np.testing.assert_allclose(video.features[:, :6], extractor().extract(film).features, atol=1e-6)
    alone = extractor(FLOW_STREAM).extract(film).features
    np.testing.assert_allclose(video.features[:, 6:], alone, atol=1e-6)
    assert np.ptp(alone, axis=0).max() > 1e-3


@pytest.mark.parametrize('batch_size', [1, 4, 50])
def test_batches_play_no_part(film: Path, batch_size: int) -> None:
    expected = extractor(RGB_STREAM, FLOW_STREAM, batch_size=3, stride=2).extract(film).features
    found = extractor(RGB_STREAM, FLOW_STREAM, batch_size=batch_size, stride=2).extract(film).features
    assert len(found) == 19
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_snippets_of_several_videos_in_one_batch(film: Path) -> None:
    one = extractor(RGB_STREAM, FLOW_STREAM)
    stretches = list(read_stretches(film, one.plan()))
    together = one.features([stretches[2], stretches[0], stretches[3]])
    assert [len(part) for part in together] == [3, 3, 1]
    for part, stretch in zip(together, (stretches[2], stretches[0], stretches[3]), strict=True):
        np.testing.assert_allclose(part, one.features([stretch])[0], atol=1e-6)


def test_the_crop_in_the_centre_and_ten_crops(film: Path) -> None:
    pictures = np.stack([picture for _, picture in iterate_frames(film, 10.0, short_side=40, enlarge=True)])[:4]
    height, width = pictures.shape[1:3]
    assert (height, width) == (40, 53)
    corners = [(4, 10), (0, 0), (0, 21), (8, 0), (8, 21)]
    squares = [pictures[:, top : top + 32, left : left + 32] for top, left in corners]
    stream = {'name': 'rgb', 'backbone': Quadrants()}
    centre = extractor(stream).extract(film).features[0]
    np.testing.assert_allclose(centre, quarters(squares[0]), atol=1e-3)
    ten = extractor(stream, crop='ten').extract(film).features[0]
    views = [quarters(view) for square in squares for view in (square, square[:, :, ::-1])]
    np.testing.assert_allclose(ten, np.mean(views, axis=0), atol=1e-3)
    assert np.abs(ten - centre).max() > 1


def test_a_mirrored_flow_points_the_other_way(film: Path) -> None:
    stream = {'name': 'flow', 'backbone': Quadrants(channels=2), 'flow': FLOW}
    features = extractor(stream, crop='ten').extract(film).features
    # x of a square and of its mirror image cancel, around the value that stands for no motion.
    x, y = features[:, :4], features[:, 4:]
    np.testing.assert_allclose(x.mean(1), 255 / 2, atol=1e-2)
    assert np.abs(x - 255 / 2).max() < np.abs(y - 255 / 2).max()


def test_ten_crops_of_a_whole_picture_are_refused() -> None:
    with pytest.raises(UserError, match="Flat sees whole pictures, of which crop='ten' has none"):
        assert extractor({'name': 'rgb', 'backbone': Flat()}, crop='ten').width


def test_reduced_precision_is_near(film: Path) -> None:
    exact = extractor().extract(film).features
    rough = extractor(dtype='bfloat16').extract(film).features
    assert rough.dtype == np.float32
    assert 0 < np.abs(rough - exact).max() < 0.05


def test_progress_and_pickling(film: Path) -> None:
    seconds: list[float] = []
    one = extractor()
    expected = one.extract(film, progress=seconds.append).features
    assert seconds == sorted(seconds)
    assert seconds[-1] == pytest.approx(4.0, abs=1e-3)
    again = pickle.loads(pickle.dumps(one))
    assert again.identity == one.identity
    np.testing.assert_array_equal(again.extract(film).features, expected)


def test_the_sidecar_says_how_features_were_made(tmp_path: Path) -> None:
    content = extractor(RGB_STREAM, {**FLOW_STREAM, 'frames': 2}, partial='pad').sidecar()
    (tmp_path / 'features.json').write_text(json.dumps(content))
    sidecar = read_sidecar(tmp_path)
    assert sidecar.grid == {'fps': 10, 'stride': 4, 'window': 4}
    assert (sidecar.width, sidecar.modalities) == (12, {'rgb': (0, 6), 'flow': (6, 12)})
    assert {key: content[key] for key in ('crop', 'partial', 'dtype', 'flow', 'model', 'weights')} == {
        'crop': 'center',
        'partial': 'pad',
        'dtype': 'float32',
        'flow': 'DISFlow',
        'model': {'rgb': 'TinyRandom', 'flow': 'TinyRandom'},
        'weights': {'rgb': 'random', 'flow': 'random'},
    }
    assert content['streams']['flow']['flow'] == {'type': 'DISFlow', 'preset': 'ultrafast'}
    assert content['streams']['flow']['frames'] == 2
    assert content['versions']['torch'] == torch.__version__
    # Whatever the package is called that brought it: TV-L1 comes with another one than DIS.
    assert content['versions']['opencv'] == cv2.__version__


def test_the_identity_tells_settings_apart() -> None:
    ways = [
        {},
        {'fps': 25.0},
        {'window': 8},
        {'stride': 2},
        {'crop': 'ten'},
        {'partial': 'pad'},
        {'dtype': 'float16'},
    ]
    seen = [json.dumps(extractor(**way).identity) for way in ways]
    streams = [
        (RGB_STREAM, FLOW_STREAM),
        (FLOW_STREAM, RGB_STREAM),
        ({**RGB_STREAM, 'frames': 2},),
        ({'name': 'rgb', 'backbone': {**TINY, 'seed': 1}},),
    ]
    seen += [json.dumps(extractor(*one).identity) for one in streams]
    assert len(set(seen)) == len(seen)
    assert extractor(batch_size=7).identity == extractor().identity


@pytest.mark.parametrize(
    ('streams', 'options', 'message'),
    [
        ([], {}, 'there must be one'),
        ([RGB_STREAM, RGB_STREAM], {}, 'distinct names'),
        ([{'name': 'rgb'}], {}, 'a stream is dict'),
        ([{**RGB_STREAM, 'flw': FLOW}], {}, 'a stream is dict'),
        ([{**RGB_STREAM, 'frames': 0}], {}, 'frames of stream'),
        ([RGB_STREAM], {'crop': 'five'}, "found 'five'"),
        ([RGB_STREAM], {'dtype': 'int8'}, 'int8'),
        ([RGB_STREAM], {'fps': 0}, 'fps and batch_size'),
        ([RGB_STREAM], {'window': 0}, 'window and stride'),
        ([{**RGB_STREAM, 'flow': FLOW}], {}, 'takes 3 channels, found the flow of DISFlow, which has 2'),
        ([{**FLOW_STREAM, 'flow': None}], {}, 'takes 2 channels, found pictures'),
        ([{'name': 'rgb', 'backbone': {'type': 'InceptionI3D', 'modality': 'rgb'}}], {}, 'clips of 8 frames and more'),
        ([RGB_STREAM], {'device': 'nowhere'}, "device 'nowhere' of VideoExtractor cannot be used"),
    ],
)
def test_wrong_settings(streams: list[dict], options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        VideoExtractor(streams=streams, **{'window': 4, **options}).prepare()


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / 'text.mp4').write_text('no video')
    with pytest.raises(VideoError, match=r'text\.mp4 is no video file'):
        extractor().extract(tmp_path / 'text.mp4')
