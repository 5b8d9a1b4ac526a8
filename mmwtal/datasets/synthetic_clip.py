"""A second stream of features of the embedded dataset, in the space of its word vectors: what CLIP frames are to texts.

It stands for what an image encoder that was trained with texts sees: a snippet lies near the words for what it shows,
but noisily, and away from all texts by the same offset (the modality gap: Liang et al., Mind the Gap, NeurIPS 2022).
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from mmwtal.conversion.data_root import to_json
from mmwtal.datasets.synthetic_text import APPROACHES, EXECUTIONS, FOLLOW_THROUGHS, SCENERY, naming_words
from mmwtal.datasets.synthetic_video import CLIP_STREAM, SyntheticConfig, SyntheticVideo, correlated_noise, knob
from mmwtal.formats.sidecar import SIDECAR_NAME
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import write_atomically

CLIP_NAME = 'features-clip'
# What a snippet shows that has neither an action nor a scenery.
_BARE_WORDS = ('video', 'person')


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """The settings of the stream, apart from those of the dataset, which do not depend on them.

    Amplitudes and deviations are against the words of an execution phase. With the defaults the cosine of a training
    snippet with the key phrases of its video's classes, without the video's mean, finds execution snippets with an
    average precision of 0.52 (chance: 0.07) and action snippets with 0.43 (chance: 0.28).

    Raises:
        UserError: If a setting is out of its range.
    """

    side_amplitude: float = knob(0.7, 'approach and follow-through')
    scenery_amplitude: float = knob(0.7, 'scenery, and what a snippet without action and scenery shows')
    style: float = knob(0.4, 'an offset of each video')
    noise_rho: float = knob(0.5, 'correlation of the noise of neighbouring snippets, AR(1), 0 to 1')
    noise_sd: float = knob(3.5, 'standard deviation of the noise')
    gap: float = knob(3.0, 'the modality gap: an offset that all snippets share')

    def __post_init__(self) -> None:
        for item in fields(self):
            value, high = getattr(self, item.name), 1 if item.name == 'noise_rho' else np.inf
            if not 0 <= value <= high or value == np.inf:
                raise UserError(f'{item.name} of the aligned stream: expected 0 to {high}, found {value}')


@dataclass(frozen=True, eq=False, kw_only=True)
class ClipWorld:
    """What the stream has in common over all videos; every vector has channels of unit mean square.

    Args:
        phases: The words of each row of ``World.phases``, (C + 2 P, W).
        scenery: The words of the scenery of each class, (C, W).
        bare: The words for nothing in particular, (W,).
        gap: The offset, (W,).
    """

    phases: np.ndarray
    scenery: np.ndarray
    bare: np.ndarray
    gap: np.ndarray


def make_clip_world(config: SyntheticConfig, vectors: Mapping[str, np.ndarray]) -> ClipWorld:
    """Return what all videos share.

    Args:
        config: The settings of the dataset.
        vectors: Its word vectors.
    """

    def of(words: Iterable[str]) -> np.ndarray:
        return _unit(np.mean([vectors[word] for word in words], axis=0))

    wordings = [*(EXECUTIONS[name] for name in config.classes), *APPROACHES, *FOLLOW_THROUGHS]
    rng = np.random.default_rng([config.seed, CLIP_STREAM])
    return ClipWorld(
        phases=np.array([of(word for phrase in phrases for word in naming_words(phrase)) for phrases in wordings]),
        scenery=np.array([of(naming_words(SCENERY[name])) for name in config.classes]),
        bare=of(_BARE_WORDS),
        gap=_unit(rng.standard_normal(config.vector_width)),
    )


def render_clip(
    config: SyntheticConfig, clip: ClipConfig, world: ClipWorld, video_id: str, video: SyntheticVideo
) -> np.ndarray:
    """Return the stream of a video, (T, W), float32; a function of the seed, the video's id and its content.

    Args:
        config: The settings of the dataset.
        clip: Those of the stream.
        world: What all videos share.
        video_id: The video.
        video: What happens in it.
    """
    rng = np.random.default_rng([config.seed, CLIP_STREAM, *video_id.encode()])
    acting, set_somewhere = video.phase >= 0, video.scenery >= 0
    amplitude = np.where(video.phase < config.num_classes, 1.0, clip.side_amplitude) * acting
    values = amplitude[:, None] * world.phases[video.phase]
    values += clip.scenery_amplitude * set_somewhere[:, None] * world.scenery[video.scenery]
    values += clip.scenery_amplitude * ~(acting | set_somewhere)[:, None] * world.bare
    values += clip.gap * world.gap + clip.style * rng.standard_normal(config.vector_width)
    values += clip.noise_sd * correlated_noise(rng, values.shape, clip.noise_rho)
    return values.astype(np.float32)


class ClipWriter:
    """Writes the stream into its folder, video by video.

    Args:
        root: The data root.
        config: The settings of the dataset.
        clip: Those of the stream.
        vectors: The word vectors.
    """

    def __init__(
        self, root: Path, *, config: SyntheticConfig, clip: ClipConfig, vectors: Mapping[str, np.ndarray]
    ) -> None:
        self._folder = root / CLIP_NAME
        self._config = config
        self._clip = clip
        self._world = make_clip_world(config, vectors)
        self._lengths: dict[str, int] = {}
        self._folder.mkdir(exist_ok=True)

    def add(self, video_id: str, video: SyntheticVideo) -> None:
        """Store the stream of a video."""
        values = render_clip(self._config, self._clip, self._world, video_id, video)
        write_atomically(self._folder / f'{video_id}.npy', lambda file: np.save(file, values, allow_pickle=False))
        self._lengths[video_id] = len(values)

    def finish(self, grid: Mapping[str, Any]) -> None:
        """Write the sidecar of the folder.

        Args:
            grid: ``fps``, ``stride`` and ``window`` of the features.
        """
        videos = {video_id: {'snippets': length} for video_id, length in self._lengths.items()}
        stated = {'model': 'synthetic', 'settings': asdict(self._clip), 'width': self._config.vector_width}
        text = to_json({**grid, **stated, 'videos': videos})
        write_atomically(self._folder / SIDECAR_NAME, lambda file: file.write(text.encode()))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.sqrt(np.mean(vector**2))
