"""The settings of what is asked about a video, and how."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from mmwtal.priors.prompts import Prompt, load_prompts
from mmwtal.utils.errors import UserError
from mmwtal.utils.names import did_you_mean

LabelPrior = Literal['video', 'classes']
Part = Literal['key', 'complete']
# Records of another number were checked or put together by other rules.
_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Dialogue:
    """What is asked about a video.

    Args:
        prompts: Prompts by purpose (``system``, ``key``, ``complete``, ``join``, ``reask``) where not the default
            ones: the name of a built-in prompt or the path of a text file.
        parts: Which semantics are asked for.
        label_prior: Which actions the key question lists: ``video``, those that the video is labelled with, or
            ``classes``, all of the data set. The latter shows how well the model recognises actions by itself; a label
            that it does not find is refused.
        spans: Ask when each action occurs. Off by default: a model tuned for grounding may have seen the very test
            videos, and weak supervision must not come from them.
        one_pass_seconds: Up to this length a video is asked about as a whole.
        window_seconds: A longer one is asked about in windows of this length.
        overlap_seconds: By which at least a window begins before the one before it ends.
        max_windows_described: In how many of the windows in which an action is seen it is described.
        fps: Frames a second that the model sees.
        max_frames: How many it sees at most.
        short_side: Pixels of the shorter side of a frame.
        max_tokens: Tokens of the longest reply.
        temperature: 0 for the likeliest reply.
        seed: Seed of sampling.

    Raises:
        UserError: If a setting or a prompt is none.
    """

    prompts: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[Part, ...] = ('key', 'complete')
    label_prior: LabelPrior = 'video'
    spans: bool = False
    one_pass_seconds: float = 96.0
    window_seconds: float = 80.0
    overlap_seconds: float = 10.0
    max_windows_described: int = 4
    fps: float = 1.0
    max_frames: int = 96
    short_side: int = 336
    max_tokens: int = 1024
    temperature: float = 0.0
    seed: int = 0
    texts: Mapping[str, Prompt] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'parts', tuple(self.parts))
        self._check()
        kind = 'key' + ('-classes' if self.label_prior == 'classes' else '') + ('-spans' if self.spans else '')
        names = {'system': 'system_v1', 'key': f'{kind}_v1', 'complete': 'complete_v1', 'join': 'join_v1'}
        names['reask'] = 'reask_v1'
        unknown = [purpose for purpose in self.prompts if purpose not in names]
        if unknown:
            raise UserError(f'prompts of the dialogue: unknown purpose {unknown[0]!r}{did_you_mean(unknown[0], names)}')
        object.__setattr__(self, 'texts', load_prompts({**names, **self.prompts}))

    @property
    def identity(self) -> dict[str, Any]:
        """What the texts depend on, as JSON can hold it: part of the fingerprint of a job."""
        asked = ['system', *self.parts, *(['join'] if 'complete' in self.parts else []), 'reask']
        windows = ('one_pass_seconds', 'window_seconds', 'overlap_seconds', 'max_windows_described')
        sampling = ('fps', 'max_frames', 'short_side', 'max_tokens', 'temperature', 'seed')
        return {
            'version': _VERSION,
            'prompts': {purpose: self.texts[purpose].identity for purpose in asked},
            'parts': [*self.parts],
            **{name: getattr(self, name) for name in ('label_prior', 'spans', *windows, *sampling)},
        }

    def _check(self) -> None:
        if self.label_prior not in get_args(LabelPrior):
            raise UserError(f'label_prior must be one of {get_args(LabelPrior)}, found {self.label_prior!r}')
        valid = get_args(Part)
        if not self.parts or len(set(self.parts)) < len(self.parts) or not set(self.parts) <= set(valid):
            raise UserError(f'parts must be some of {valid}, found {self.parts!r}')
        if self.label_prior == 'classes' and 'key' not in self.parts:
            raise UserError("label_prior='classes' asks which actions are seen, so parts must hold 'key'")
        positive = ('one_pass_seconds', 'window_seconds', 'max_windows_described', 'fps', 'max_frames', 'short_side')
        for name in (*positive, 'max_tokens'):
            if not getattr(self, name) > 0:
                raise UserError(f'{name} must be above 0, found {getattr(self, name)!r}')
        if not 0 <= self.overlap_seconds < self.window_seconds:
            raise UserError(
                f'overlap_seconds must be at least 0 and below window_seconds ({self.window_seconds:g}), found '
                f'{self.overlap_seconds!r}'
            )
        if self.temperature < 0:
            raise UserError(f'temperature must not be negative, found {self.temperature!r}')
