"""One question to a model: too many frames are halved, a faulty answer is asked for once more."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic

from mmwtal.offline.job import ItemFailed, State
from mmwtal.priors.answers import Answer, schema_of
from mmwtal.priors.engines.base import BaseEngine, Clip, Reply, Request, RequestFailed, RequestTooLarge
from mmwtal.priors.prompts import Prompt
from mmwtal.priors.validate import AnswerT, Checked, Problem

#: A part of a video in seconds: start and end.
Stretch = tuple[float, float]
ReadClip = Callable[[float, float, int], Awaitable[Clip]]

_HALVINGS = 2
# Of an earlier reply that is quoted; one that is longer went astray somewhere in it.
_QUOTED = 2_000
_LONGEST_REASON = 500


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[AnswerT]):
    """What came of a question.

    Args:
        answer: The answer; None if there is none that can be used.
        problems: What is still wrong with parts of it.
        state: ``ok``, ``failed`` where the request could not be answered, ``refused`` where no answer was right.
        reason: Why, where it is not ``ok``.
        unreadable: Whether it failed because the video could not be read.
        times: Of the frames that the model saw, in seconds.
        prompt_tokens: Tokens of all questions.
        reply_tokens: Tokens of all replies.
        reasked: What was wrong with the first answer, where it was asked for once more.
    """

    answer: AnswerT | None
    problems: tuple[Problem, ...] = ()
    state: State = 'ok'
    reason: str = ''
    unreadable: bool = False
    times: tuple[float, ...] = ()
    prompt_tokens: int = 0
    reply_tokens: int = 0
    reasked: tuple[str, ...] = ()


class Conversation:
    """Questions about one video, or about none.

    Args:
        engine: Who answers.
        system: The system prompt.
        reask: The prompt that asks once more.
        max_tokens: Tokens of the longest reply.
        temperature: 0 for the likeliest reply.
        seed: Seed of sampling.
        read_clip: Reads a part of the video: start and end in seconds, frames at most.
        max_frames: How many frames are read at most.
    """

    def __init__(
        self,
        *,
        engine: BaseEngine,
        system: Prompt,
        reask: Prompt,
        max_tokens: int,
        temperature: float,
        seed: int,
        read_clip: ReadClip | None = None,
        max_frames: int = 0,
    ) -> None:
        self._engine = engine
        self._system = system.fill()
        self._reask = reask
        self._sampling: dict[str, Any] = {'max_tokens': max_tokens, 'temperature': temperature, 'seed': seed}
        self._read_clip = read_clip
        self._max_frames = max_frames
        # What was too large once is too large again: the next question begins with as few frames.
        self._halvings = 0
        self._last: tuple[Stretch, Clip] | None = None

    async def ask(
        self,
        question: str,
        model: type[Answer],
        check: Callable[[str], Checked[AnswerT]],
        *,
        stretch: Stretch | None = None,
    ) -> Outcome[AnswerT]:
        """Ask a question, and once more if the answer is faulty.

        Args:
            question: The prompt.
            model: The model of the answer, which binds the reply.
            check: Checks the text of a reply.
            stretch: The part of the video that the model sees; None if it sees nothing.

        Raises:
            EngineDown: If the engine is out of reach.
            WorkerDied: If a process died of it.
            UserError: If no question will be answered.
        """
        prompt, attempts, reasked = question, list[Checked[AnswerT]](), tuple[str, ...]()
        tokens, times, failure, unreadable = [0, 0], tuple[float, ...](), '', False
        for _ in range(2):
            try:
                reply, times = await self._reply(prompt, schema_of(model), stretch)
            except (RequestFailed, ItemFailed) as error:
                failure, unreadable = str(error) or type(error).__name__, isinstance(error, ItemFailed)
                break
            tokens = [tokens[0] + reply.prompt_tokens, tokens[1] + reply.reply_tokens]
            attempts.append(check(reply.text) if reply.complete else _cut_off(self._sampling['max_tokens']))
            if not attempts[-1].worth_asking_again or len(attempts) == 2:
                break
            reasked = tuple(problem.text for problem in attempts[-1].problems)
            quoted = reply.text[:_QUOTED] if reply.complete else '(It was too long.)'
            prompt = self._reask.fill(question=question, reply=quoted, problems=_listed(reasked))
        usable = [one for one in reversed(attempts) if one.usable]
        best = min(usable, key=lambda one: len(one.problems), default=None)
        common: dict[str, Any] = {'times': times, 'prompt_tokens': tokens[0], 'reply_tokens': tokens[1]}
        common['reasked'] = reasked
        if best is not None:
            return Outcome(answer=best.answer, problems=tuple(best.problems), **common)
        if failure:
            return Outcome(answer=None, state='failed', reason=failure, unreadable=unreadable, **common)
        reason = '; '.join(problem.text for problem in attempts[-1].problems)
        return Outcome(answer=None, state='refused', reason=_shortened(reason), **common)

    async def _reply(
        self, prompt: str, schema: Mapping[str, Any], stretch: Stretch | None
    ) -> tuple[Reply, tuple[float, ...]]:
        clip = None if stretch is None else await self._clip(stretch)
        while True:
            shown = None if clip is None else replace(clip, frames=clip.frames[:: 2**self._halvings])
            request = Request(
                system=self._system,
                prompt=prompt,
                schema=schema,
                clip=shown,
                reduced=self._halvings > 0,
                **self._sampling,
            )
            frames = () if shown is None else shown.frames
            try:
                reply = await self._engine.ask(request)
            except RequestTooLarge as error:
                if self._halvings == _HALVINGS or len(frames) < 2:
                    raise RequestFailed(f'{error} (with {len(frames)} frames)' if frames else str(error)) from error
                self._halvings += 1
                continue
            return reply, tuple(frame.time for frame in frames)

    async def _clip(self, stretch: Stretch) -> Clip:
        """Read a part of the video, unless it is the one that the last question was about."""
        if self._last is None or self._last[0] != stretch:
            if self._read_clip is None:
                raise ValueError('a conversation about no video was asked about one')
            self._last = None  # The frames of two parts need not be in memory at once.
            self._last = (stretch, await self._read_clip(*stretch, self._max_frames))
        return self._last[1]


def _cut_off(max_tokens: int) -> Checked[Any]:
    text = f'the answer was cut off at {max_tokens} tokens: write fewer and shorter sentences, and end it'
    return Checked(problems=[Problem(text=text)])


def _listed(problems: Sequence[str]) -> str:
    return '\n'.join(f'- {problem}' for problem in problems)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else f'{text[:_LONGEST_REASON]} ...'
