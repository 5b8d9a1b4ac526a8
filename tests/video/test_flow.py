"""Optical flow: what moves by how much, from which pair of frames, and images that other tools wrote."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmwtal.utils.errors import UserError
from mmwtal.video.container import VideoError
from mmwtal.video.flow import DISFlow, FlowFrames, FlowMethod, TVL1Flow

VIDEO = Path('some/folder/run.mp4')
BLACK = np.zeros((48, 64, 3), dtype=np.uint8)


def texture(shift: tuple[int, int] = (0, 0)) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    smooth = cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)
    return np.repeat(np.roll(smooth, shift[::-1], axis=(0, 1))[:, :, None], 3, axis=2)


@pytest.mark.parametrize('method', [TVL1Flow(), DISFlow(), DISFlow(preset='fast')], ids=lambda one: str(one.identity))
def test_a_shift_is_found_x_before_y(method: FlowMethod) -> None:
    if isinstance(method, TVL1Flow) and not hasattr(cv2, 'optflow'):
        pytest.skip('needs opencv-contrib-python: pip install "mmwtal[features]"')
    method.check()
    flow = method.of_video(VIDEO, 25.0)
    first, second = texture(), texture((3, -2))
    found = flow.after(0, first, second)
    assert (found.shape, found.dtype) == ((96, 96, 2), np.float32)
    inner = found[24:-24, 24:-24]
    assert np.abs(np.median(inner, axis=(0, 1)) - [3, -2]).max() < 0.25
    # The next pair begins with the picture that ended the first, and gives what a new beginning gives.
    back = flow.after(1, second, first)
    np.testing.assert_array_equal(back, method.of_video(VIDEO, 25.0).after(0, second, first))
    np.testing.assert_array_equal(flow.after(2, first, first), np.zeros((96, 96, 2)))


def test_a_missing_opencv_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, 'optflow', raising=False)
    with pytest.raises(UserError, match=r'pip install "mmwtal\[features\]"; DISFlow'):
        TVL1Flow().of_video(VIDEO, 25.0)
    DISFlow().check()


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: DISFlow(preset='slow'), "found 'slow'"),
        (lambda: TVL1Flow(warps=0), 'above 0, found 5 and 0'),
        (lambda: FlowFrames(folder='absent'), 'absent of FlowFrames does not exist'),
        (lambda: FlowFrames(folder='.', bound=0), 'above 0, found None and 0'),
    ],
)
def test_wrong_settings(make, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


LAYOUTS = {
    'denseflow': ('run/flow_x_{:05d}.png', 'run/flow_y_{:05d}.png'),
    'short': ('run/x_{:04d}.png', 'run/y_{:04d}.png'),
    'axis': ('flow_x/run/{:06d}.png', 'flow_y/run/{:06d}.png'),
    'two-stream': ('u/run/frame{:06d}.png', 'v/run/frame{:06d}.png'),
}


def write_images(root: Path, layout: str, *, count: int = 5, first: int = 1) -> Path:
    """Image k holds 10 k for x and 255 for y."""
    for number in range(count):
        for name, value in zip(LAYOUTS[layout], (10 * number, 255), strict=True):
            path = root / name.format(first + number)
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((24, 32), value, dtype=np.uint8))
    return root


@pytest.mark.parametrize('layout', LAYOUTS)
def test_images_of_other_tools(layout: str, tmp_path: Path) -> None:
    method = FlowFrames(folder=write_images(tmp_path, layout, first=layout == 'denseflow'))
    flow = method.of_video(VIDEO, 25.0)
    for number in (0, 3, 4, 5):
        found = flow.after(number, BLACK, BLACK)
        assert found.shape == (48, 64, 2)
        # Past the end by a frame or two the last image is used again.
        expected = [10 * min(number, 4) * 40 / 255 - 20, 20]
        np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-4)
    with pytest.raises(VideoError, match='has 5 flow images, and is longer by at least 4'):
        flow.after(8, BLACK, BLACK)


def test_images_at_a_rate_of_their_own(tmp_path: Path) -> None:
    method = FlowFrames(folder=write_images(tmp_path, 'short'), fps=12.5, bound=10)
    flow = method.of_video(VIDEO, 25.0)
    found = [float(flow.after(number, BLACK, BLACK)[0, 0, 0]) for number in range(6)]
    np.testing.assert_allclose(found, [10 * image * 20 / 255 - 10 for image in (0, 0, 1, 1, 2, 2)], atol=1e-4)
    assert method.identity == {'type': 'FlowFrames', 'folder': tmp_path.name, 'fps': 12.5, 'bound': 10}


def test_faulty_folders_of_images(tmp_path: Path) -> None:
    method = FlowFrames(folder=write_images(tmp_path, 'denseflow'))
    with pytest.raises(VideoError, match=r'jump\.mp4: no flow images of it are in .*jump/flow_x_\*'):
        method.of_video(Path('jump.mp4'), 25.0)
    (tmp_path / 'run' / 'flow_y_00003.png').write_bytes(b'no image')
    with pytest.raises(VideoError, match=r'flow_y_00003\.png cannot be read'):
        method.of_video(VIDEO, 25.0).after(2, BLACK, BLACK)
    (tmp_path / 'run' / 'flow_y_00003.png').unlink()
    with pytest.raises(VideoError, match='same numbers and no gaps, found 5 and 4'):
        method.of_video(VIDEO, 25.0)
