"""The videos of the embedded dataset: what happens in them, and the snippet features that show it.

A video is a timeline of phases. An action is an approach, an execution and a follow-through. Only the execution tells
the class; approach and follow-through are variants out of pools that the classes share, and they also happen on their
own. Scenery mostly goes with a class and stays when nothing happens. The features are the sum of prototypes of all of
that, of the video's style, and of noise that is correlated in time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from mmwtal.utils.errors import UserError

# Independent random streams below the seed, so that a change of one part leaves the others as they were.
WORLD_STREAM, TEXT_STREAM, VECTOR_STREAM, SUBSET_STREAMS = 0, 1, 2, {'training': 3, 'test': 4}
CLIP_STREAM = 5
FPS, STRIDE = 25, 16
CLASSES = (
    *('BasketballDunk', 'CleanAndJerk', 'GolfSwing', 'HammerThrow'),
    *('HighJump', 'JavelinThrow', 'PoleVault', 'TennisSwing'),
)
POOL_SIZE = 6
# Snippets without action that at least lie before, between and after instances: neighbours must not merge.
_MIN_GAP = 2


def knob(default: Any, text: str) -> Any:
    """Return a setting's dataclass field with its help."""
    return field(default=default, metadata={'help': text})


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """The settings of the embedded dataset; the help of each is in its field's metadata, where the tool reads it.

    Raises:
        UserError: If a setting is out of its range, or the instances cannot fit into the shortest video.
    """

    seed: int = knob(0, 'everything is a function of it')
    num_train: int = knob(200, 'training videos')
    num_test: int = knob(40, 'test videos')
    num_classes: int = knob(8, 'classes, 2 to 8')
    width: int = knob(64, 'channels of each of the two modalities')
    min_snippets: int = knob(60, 'snippets of the shortest video')
    max_snippets: int = knob(200, 'snippets of the longest video')
    max_instances: int = knob(5, 'instances of a video: 1 to this, as many as fit, but one of each of its classes')
    max_action_share: float = knob(0.6, 'largest part of a video that is action')
    two_class_share: float = knob(0.2, 'part of the videos that have two classes')
    min_execution: int = knob(2, 'snippets of the shortest execution phase')
    max_execution: int = knob(4, 'snippets of the longest execution phase')
    min_side: int = knob(3, 'snippets of the shortest approach, follow-through or background phase')
    max_side: int = knob(7, 'snippets of the longest approach, follow-through or background phase')
    side_amplitude: float = knob(0.7, 'approach and follow-through against a prototype: weaker than the execution')
    num_variants: int = knob(3, f'variants of each pool of {POOL_SIZE} that a class uses; a video has one of them')
    background_phase_share: float = knob(0.1, 'part of the background made of approach or follow-through phases')
    own_phase_share: float = knob(0.15, "part of those background phases that are the video's own variants")
    scenery_cover: float = knob(0.7, 'part of the action-free snippets that show the scenery of the class too')
    scenery_amplitude: float = knob(0.7, 'scenery against a prototype')
    scenery_match: float = knob(0.85, 'part of the videos whose scenery is that of their classes; the others have any')
    style: float = knob(0.4, 'an offset of each video, against a prototype')
    noise_rho: float = knob(0.5, 'correlation of the noise of neighbouring snippets, AR(1)')
    noise_sd: float = knob(1.5, "standard deviation of the noise, against a prototype's channels")
    scale: float = knob(0.3, 'factor on all features; the default brings them into the range of I3D features')
    vector_width: int = knob(50, 'width of the word vectors')
    vector_noise: float = knob(0.3, 'standard deviation of the noise on word vectors, against their signal')

    def __post_init__(self) -> None:
        ranges = {
            **dict.fromkeys(('num_train', 'num_test', 'width', 'vector_width', 'max_instances'), (1, np.inf)),
            **dict.fromkeys(('min_snippets', 'min_execution', 'min_side'), (1, np.inf)),
            **dict.fromkeys(('max_action_share', 'two_class_share', 'background_phase_share'), (0, 1)),
            **dict.fromkeys(('own_phase_share', 'scenery_cover', 'scenery_match', 'noise_rho'), (0, 1)),
            **{'num_classes': (2, len(CLASSES)), 'num_variants': (1, POOL_SIZE - 1)},
        }
        for item in fields(self):
            value = getattr(self, item.name)
            low, high = ranges.get(item.name, (0, np.inf))
            if not low <= value <= high or value == np.inf:
                raise UserError(f'{item.name}: expected a value from {low} to {high}, found {value}')
        for name in ('snippets', 'execution', 'side'):
            if getattr(self, f'min_{name}') > getattr(self, f'max_{name}'):
                raise UserError(f'min_{name} is above max_{name}')
        longest = self.max_execution + 2 * self.max_side
        if 2 * longest > self.max_action_share * self.min_snippets:
            raise UserError(
                f'two instances of up to {longest} snippets do not fit into {self.max_action_share:g} of a video of '
                f'{self.min_snippets} snippets: raise min_snippets or max_action_share, or shorten the phases'
            )
        if _MIN_GAP * (self.max_instances + 1) > (1 - self.max_action_share) * self.min_snippets:
            raise UserError(
                f'{self.max_instances} instances leave no gaps in a video of {self.min_snippets} snippets: '
                'raise min_snippets, or lower max_instances or max_action_share'
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names."""
        return CLASSES[: self.num_classes]


@dataclass(frozen=True, eq=False, kw_only=True)
class World:
    """What all videos share.

    Args:
        phases: Prototypes, (C + 2 P, D): the executions, the approaches, the follow-throughs.
        scenery: Prototypes of the scenery, (C, D).
        variants: Rows of ``phases`` that a class uses, (C, 2, V): approaches and follow-throughs.
    """

    phases: np.ndarray
    scenery: np.ndarray
    variants: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class SyntheticVideo:
    """What happens in a video.

    Args:
        classes: Its classes.
        own: Rows of ``World.phases`` of its approach and follow-through, by class.
        instances: Class, first snippet, end snippet (exclusive) of each instance.
        phase: Row of ``World.phases`` that each snippet shows, -1 for none, (T,).
        scenery: Class whose scenery each snippet shows, -1 for none, (T,).
    """

    classes: tuple[int, ...]
    own: Mapping[int, tuple[int, int]]
    instances: tuple[tuple[int, int, int], ...]
    phase: np.ndarray
    scenery: np.ndarray


def make_world(config: SyntheticConfig) -> World:
    """Draw the prototypes, with standard normal channels, and the variants of each class."""
    rng = np.random.default_rng([config.seed, WORLD_STREAM])
    width = 2 * config.width
    # Drawn for all classes, so that a dataset of fewer classes is a part of the whole one.
    executions, scenery = rng.standard_normal((2, len(CLASSES), width))
    pools = rng.standard_normal((2 * POOL_SIZE, width))
    pool = config.num_classes + np.arange(2 * POOL_SIZE).reshape(2, POOL_SIZE)
    variants = rng.permuted(np.broadcast_to(pool, (len(CLASSES), 2, POOL_SIZE)), axis=-1)
    return World(
        phases=np.concatenate([executions[: config.num_classes], pools]),
        scenery=scenery[: config.num_classes],
        variants=variants[: config.num_classes, :, : config.num_variants],
    )


def make_video(config: SyntheticConfig, world: World, rng: np.random.Generator, first: int) -> SyntheticVideo:
    """Draw what happens in a video.

    Args:
        config: The settings.
        world: What all videos share.
        rng: The video's generator.
        first: A class that it certainly has.
    """
    others = [c for c in range(config.num_classes) if c != first]
    classes = (first, int(rng.choice(others))) if rng.random() < config.two_class_share else (first,)
    own = {c: (int(rng.choice(world.variants[c, 0])), int(rng.choice(world.variants[c, 1]))) for c in classes}
    length = int(rng.integers(config.min_snippets, config.max_snippets + 1))
    order, lengths = _draw_instances(config, rng, classes, length)
    gaps = _draw_gaps(rng, length - int(lengths.sum()), len(order))

    phase = np.full(length, -1)
    instances, start = [], 0
    for c, parts, gap in zip(order, lengths, gaps, strict=False):
        start += int(gap)
        end = start + int(parts.sum())
        phase[start:end] = np.repeat([own[c][0], c, own[c][1]], parts)
        instances.append((c, start, end))
        start = end
    background = np.ones(length, dtype=bool)
    for _, begin, end in instances:
        background[begin:end] = False
    _fill_background(config, world, rng, phase, background, own)
    scenery = _draw_scenery(config, rng, background, instances)
    return SyntheticVideo(classes=classes, own=own, instances=tuple(instances), phase=phase, scenery=scenery)


def render_video(config: SyntheticConfig, world: World, rng: np.random.Generator, video: SyntheticVideo) -> np.ndarray:
    """Return the snippet features of a video, (T, D), float32.

    Args:
        config: The settings.
        world: The prototypes.
        rng: The video's generator.
        video: What happens in it.
    """
    amplitude = np.where(video.phase < config.num_classes, 1.0, config.side_amplitude) * (video.phase >= 0)
    features = amplitude[:, None] * world.phases[video.phase]
    features += config.scenery_amplitude * (video.scenery >= 0)[:, None] * world.scenery[video.scenery]
    features += config.style * rng.standard_normal(features.shape[1])
    features += config.noise_sd * correlated_noise(rng, features.shape, config.noise_rho)
    return (config.scale * features).astype(np.float32)


def correlated_noise(rng: np.random.Generator, shape: tuple[int, ...], rho: float) -> np.ndarray:
    """Return stationary AR(1) noise of unit variance along the first axis: x[t] = rho x[t - 1] + e[t].

    Args:
        rng: The generator.
        shape: (T, D).
        rho: Correlation of neighbours, 0 to 1.
    """
    noise = rng.standard_normal(shape)
    noise[1:] *= np.sqrt(1 - rho**2)
    # After the step with shift s, row t holds the sum of rho^k e[t - k] over k < 2 s: a scan in log2(T) steps.
    shift = 1
    while shift < len(noise):
        noise[shift:] = noise[shift:] + rho**shift * noise[:-shift]
        shift *= 2
    return noise


def _draw_instances(
    config: SyntheticConfig, rng: np.random.Generator, classes: tuple[int, ...], length: int
) -> tuple[list[int], np.ndarray]:
    """Return the class of each instance in order of time and the lengths of its three phases, (N, 3)."""
    count = max(len(classes), int(rng.integers(1, config.max_instances + 1)))
    lengths = rng.integers(config.min_side, config.max_side + 1, (count, 3))
    lengths[:, 1] = rng.integers(config.min_execution, config.max_execution + 1, count)
    fitting = int((lengths.sum(axis=1).cumsum() <= config.max_action_share * length).sum())
    count = max(len(classes), fitting)
    order = rng.permutation(np.resize(classes, count))
    return [int(c) for c in order], lengths[:count]


def _draw_gaps(rng: np.random.Generator, background: int, instances: int) -> np.ndarray:
    """Return the number of snippets before, between and after the instances, (N + 1,)."""
    shares = rng.dirichlet(np.full(instances + 1, 2.0))
    return _MIN_GAP + rng.multinomial(background - _MIN_GAP * (instances + 1), shares)


def _fill_background(
    config: SyntheticConfig,
    world: World,
    rng: np.random.Generator,
    phase: np.ndarray,
    background: np.ndarray,
    own: Mapping[int, tuple[int, int]],
) -> None:
    """Let approach and follow-through phases happen on their own in part of the background."""
    pool = np.arange(config.num_classes, len(world.phases))
    owned = np.array(sorted({row for rows in own.values() for row in rows}))
    foreign = np.setdiff1d(pool, owned)
    bounds = np.flatnonzero(np.diff(background, prepend=False, append=False))
    for start, end in bounds.reshape(-1, 2):
        while start < end:
            stop = min(end, start + int(rng.integers(config.min_side, config.max_side + 1)))
            if rng.random() < config.background_phase_share:
                phase[start:stop] = rng.choice(owned if rng.random() < config.own_phase_share else foreign)
            start = stop


def _draw_scenery(
    config: SyntheticConfig,
    rng: np.random.Generator,
    background: np.ndarray,
    instances: list[tuple[int, int, int]],
) -> np.ndarray:
    """Return the scenery of each snippet: that of the nearest instance, but none in one or two background stretches."""
    shown = np.arange(config.num_classes)
    if rng.random() >= config.scenery_match:
        shown = rng.integers(config.num_classes, size=config.num_classes)
    starts = np.array([start for _, start, _ in instances])
    ends = np.array([end for *_, end in instances])
    time = np.arange(len(background))[:, None]
    distance = np.maximum(np.maximum(starts - time, time - (ends - 1)), 0)
    scenery = shown[[c for c, *_ in instances]][distance.argmin(axis=1)]
    free = np.flatnonzero(background)
    bare = int((1 - config.scenery_cover) * len(free))
    scenery[np.roll(free, -int(rng.integers(len(free))))[:bare]] = -1
    return scenery
