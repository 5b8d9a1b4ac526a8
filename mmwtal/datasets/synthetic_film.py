"""The training videos of the embedded dataset as small films, so that a user can walk from video files to texts.

A stick figure acts out each video's timeline: approach and follow-through are ways to move, an execution is a motion
with a bright object that tells the class, and scenery is the colours behind it.
"""

from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from mmwtal.datasets.synthetic_film_things import GROUND, HEIGHT, THINGS, WIDTH
from mmwtal.datasets.synthetic_video import FPS, STRIDE, SyntheticConfig, SyntheticVideo, make_world
from mmwtal.utils.extras import require
from mmwtal.utils.files import publish, temporary_name

FILMS_NAME = 'videos'
# One in so many frames of the 25 a second that the features have.
_EVERY = 5
_HOME = WIDTH / 2
_LEG, _TORSO, _ARM, _HEAD = 17, 17, 14, 5
# Drawing takes coordinates in 1/8 of a pixel, so that slow motion is smooth.
_SHIFT = 3


@dataclass(frozen=True, kw_only=True)
class Motion:
    """How the figure moves in a phase; what is not stated stays as when it stands.

    Args:
        travel: Pixels a second, to the right.
        steps: Steps a second.
        hop: Height of jumps in pixels.
        hops: Jumps a second; 0 is one for the whole phase.
        crouch: Part by which it is lower.
        sway: Degrees to and fro.
        turn: Degrees by which it turns over in the whole phase.
        arms: Degrees by which the arms are lifted.
    """

    travel: float = 0
    steps: float = 0
    hop: float = 0
    hops: float = 0
    crouch: float = 0
    sway: float = 0
    turn: float = 0
    arms: float = 25


STANDING = Motion()
# In the order of the wordings in synthetic_text: what a film shows is what the texts say.
APPROACH_MOTIONS = (
    Motion(travel=8, steps=1),
    Motion(travel=22, steps=3, arms=60),
    Motion(crouch=0.45),
    Motion(sway=18),
    Motion(hop=8, hops=1.2),
    Motion(arms=0),
)
FOLLOW_MOTIONS = (
    Motion(crouch=0.3, turn=360, travel=6),
    Motion(arms=165),
    Motion(travel=-8, steps=1),
    Motion(sway=35, crouch=0.15),
    Motion(arms=35),
    Motion(travel=-16, steps=2, arms=50),
)
EXECUTION_MOTIONS = {
    'BasketballDunk': Motion(hop=22, arms=170),
    'CleanAndJerk': Motion(arms=175),
    'GolfSwing': Motion(sway=25, arms=60),
    'HammerThrow': Motion(sway=12, arms=90),
    'HighJump': Motion(hop=30, turn=-180, travel=12),
    'JavelinThrow': Motion(travel=6, steps=2, arms=120),
    'PoleVault': Motion(hop=38, turn=180, travel=10),
    'TennisSwing': Motion(sway=15, arms=95),
}
# Backdrop and ground of the scenery, RGB.
_SCENERY = {
    'BasketballDunk': ((150, 116, 92), (176, 118, 62)),
    'CleanAndJerk': ((134, 134, 150), (140, 104, 70)),
    'GolfSwing': ((150, 196, 232), (58, 140, 56)),
    'HammerThrow': ((120, 128, 124), (96, 104, 92)),
    'HighJump': ((196, 214, 230), (44, 84, 168)),
    'JavelinThrow': ((170, 200, 214), (168, 74, 52)),
    'PoleVault': ((104, 112, 168), (150, 150, 170)),
    'TennisSwing': ((88, 140, 104), (198, 104, 60)),
}
_BARE = ((128, 128, 128), (104, 104, 104))
_BODY, _BRIGHT = (20, 20, 24), (255, 230, 40)


def make_films(root: Path, config: SyntheticConfig) -> int:
    """Write the training videos as ``videos/<id>.mp4`` below a folder.

    A film is a function of the settings alone, for one version of PyAV byte for byte.

    Args:
        root: The folder.
        config: The settings of the dataset.

    Returns:
        Their number.

    Raises:
        UserError: If PyAV is not installed.
    """
    from mmwtal.datasets.synthetic import make_videos

    (root / FILMS_NAME).mkdir(exist_ok=True)
    written = 0
    for video_id, subset, video, _ in make_videos(config, make_world(config)):
        if subset != 'training':
            break
        write_film(root / FILMS_NAME / f'{video_id}.mp4', draw_film(config, video), ticks=len(video.phase) * STRIDE)
        written += 1
    return written


def write_film(path: Path, film: np.ndarray, *, ticks: int) -> None:
    """Write a film as an MP4 file: H.264 where PyAV has its encoder, else MPEG-4.

    Args:
        path: The file; it appears when it is complete.
        film: RGB, (N, H, W, 3), uint8, 5 frames a second.
        ticks: 1/25 s that it lasts; the last frame fills up.

    Raises:
        UserError: If PyAV is not installed.
    """
    av = require('av', 'priors')
    codec, options = 'mpeg4', {'qscale': '4'}
    if 'libx264' in av.codecs_available:
        codec, options = 'libx264', {'preset': 'ultrafast', 'crf': '26', 'g': '50'}
    temporary = temporary_name(path)
    try:
        with av.open(f'file:{temporary.absolute()}', 'w', format='mp4') as container:
            stream = container.add_stream(codec, rate=Fraction(FPS, _EVERY), options=options)
            stream.height, stream.width = film.shape[1:3]
            stream.pix_fmt = 'yuv420p'
            stream.codec_context.thread_count = 1
            stream.codec_context.time_base = Fraction(1, FPS)
            for number, picture in enumerate([*film, None]):
                frame = None
                if picture is not None:
                    frame = av.VideoFrame.from_ndarray(picture, format='rgb24').reformat(format='yuv420p', threads=1)
                    frame.pts, frame.time_base = number * _EVERY, Fraction(1, FPS)
                for packet in stream.encode(frame):
                    packet.duration = min(_EVERY, ticks - packet.pts)
                    container.mux(packet)
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def draw_film(config: SyntheticConfig, video: SyntheticVideo) -> np.ndarray:
    """Draw a video.

    Args:
        config: The settings of the dataset.
        video: What happens in it.

    Returns:
        RGB, (N, 96, 128, 3), uint8, 5 frames a second.
    """
    snippet = np.arange(0, len(video.phase) * STRIDE, _EVERY) // STRIDE
    phase = video.phase[snippet]
    backdrops = np.array([_backdrop(*_SCENERY[name]) for name in config.classes] + [_backdrop(*_BARE)])
    film = backdrops[video.scenery[snippet]]
    motions = [EXECUTION_MOTIONS[name] for name in config.classes] + [*APPROACH_MOTIONS, *FOLLOW_MOTIONS, STANDING]
    progress, place = _runs(phase, np.array([motion.travel for motion in motions]))
    limbs, head, hip = _figure(motions, phase, progress, place)
    _draw(film, limbs, head, _HEAD, _BODY)
    for c, name in enumerate(config.classes):
        shown = np.flatnonzero(phase == c)
        if len(shown):
            lines, ball = THINGS[name](progress[shown], hip[shown])
            part = film[shown]
            _draw(part, lines, ball, 4, _BRIGHT)
            film[shown] = part
    return film


def _backdrop(back: tuple[int, int, int], ground: tuple[int, int, int]) -> np.ndarray:
    picture = np.empty((HEIGHT, WIDTH, 3), dtype=np.uint8)
    picture[:GROUND], picture[GROUND:] = back, ground
    return picture


def _runs(phase: np.ndarray, travel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each frame's phase has come, 0 to 1, and where the figure then is in pixels, (N,) each."""
    starts = np.flatnonzero(np.diff(phase, prepend=-2))
    lengths = np.diff(starts, append=len(phase))
    within = np.arange(len(phase)) - np.repeat(starts, lengths)
    progress = within / np.repeat(lengths, lengths)
    place = np.empty(len(phase))
    here = float(_HOME)
    for start, length in zip(starts, lengths, strict=True):
        speed = travel[phase[start]] * _EVERY / FPS
        if phase[start] < 0:
            here = _HOME
        # Who has gone too far to one side goes back to the middle first.
        if not 36 <= here + speed * length <= WIDTH - 36:
            here = np.clip(_HOME - speed * length / 2, 30, WIDTH - 30)
        place[start : start + length] = here + speed * within[start : start + length]
        here += speed * length
    return progress, np.clip(place, 14, WIDTH - 14)


def _figure(
    motions: list[Motion], phase: np.ndarray, progress: np.ndarray, place: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return limbs (N, 5, 2, 2), head (N, 2) and hip (N, 2) of the figure, as x and y."""
    table = np.array([[getattr(motion, item.name) for item in fields(Motion)] for motion in motions])
    _, steps, hop, hops, crouch, sway, turn, arms = table[phase].T
    seconds = np.arange(len(phase)) * _EVERY / FPS
    jump = hop * np.where(hops > 0, np.abs(np.sin(np.pi * hops * seconds)), np.sin(np.pi * progress))
    ease = np.sin(np.pi * progress)
    low = 1 - crouch * ease
    lean = np.radians(sway * np.sin(2 * np.pi * seconds / 1.6) + turn * progress)
    stride = np.where(steps > 0, 8 * np.sin(2 * np.pi * steps * seconds), 4)
    lift = np.radians(25 + (arms - 25) * np.minimum(1, 2 * ease))
    zero = np.zeros(len(phase))
    neck = np.stack([zero, -_TORSO * low], axis=-1)
    hand = np.stack([_ARM * np.sin(lift), _ARM * np.cos(lift)], axis=-1)
    foot = np.stack([stride, _LEG * low], axis=-1)
    mirror = np.array([-1, 1])
    shoulder = neck * 0.85
    ends = [(0 * neck, neck), (0 * neck, foot), (0 * neck, foot * mirror)]
    ends += [(shoulder, shoulder + hand), (shoulder, shoulder + hand * mirror)]
    limbs = np.array(ends).transpose(2, 0, 1, 3)
    head = np.stack([zero, -_TORSO * low - _HEAD], axis=-1)
    hip = np.stack([place, GROUND - _LEG * low - jump], axis=-1)
    spin = np.array([[np.cos(lean), np.sin(lean)], [-np.sin(lean), np.cos(lean)]]).transpose(2, 0, 1)
    limbs = (limbs.reshape(len(phase), -1, 2) @ spin).reshape(limbs.shape) + hip[:, None, None]
    return limbs, (head[:, None] @ spin)[:, 0] + hip, hip


def _draw(film: np.ndarray, lines: np.ndarray, ball: np.ndarray, radius: int, colour: tuple[int, int, int]) -> None:
    """Draw lines (N, K, 2, 2) and a ball (N, 2) into each picture (N, H, W, 3)."""
    lines, ball = (np.round(points * 2**_SHIFT).astype(np.int32) for points in (lines, ball))
    for picture, ends, centre in zip(film, lines, ball, strict=True):
        cv2.polylines(picture, ends, False, colour, 2, cv2.LINE_AA, _SHIFT)
        cv2.circle(picture, centre.tolist(), radius << _SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)
