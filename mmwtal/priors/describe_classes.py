"""Class descriptions by a language model, without any video: asked once for each class, and again where it stopped."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmwtal.offline.job import State
from mmwtal.priors.answers import ClassAnswer
from mmwtal.priors.class_mentions import ClassMentions
from mmwtal.priors.conversation import Conversation, Outcome
from mmwtal.priors.engines.base import BaseEngine
from mmwtal.priors.prompts import Prompt, load_prompts
from mmwtal.priors.schema import PriorText, absent_key_words
from mmwtal.priors.sources import read_class_texts
from mmwtal.priors.validate import Checked, check_description
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import write_atomically
from mmwtal.utils.json_file import read_json_object
from mmwtal.utils.locks import file_lock
from mmwtal.utils.names import did_you_mean
from mmwtal.utils.words import words_of_name


@dataclass(frozen=True, kw_only=True)
class ClassQuestion:
    """What is asked about a class.

    Args:
        prompts: Prompts by purpose (``system``, ``class``, ``reask``) where not the default ones: the name of a
            built-in prompt or the path of a text file.
        max_tokens: Tokens of the longest reply.
        temperature: 0 for the likeliest reply.
        seed: Seed of sampling.

    Raises:
        UserError: If a prompt is none.
    """

    prompts: Mapping[str, str] = field(default_factory=dict)
    max_tokens: int = 1024
    temperature: float = 0.0
    seed: int = 0
    texts: Mapping[str, Prompt] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names = {'system': 'system_v1', 'class': 'class_v1', 'reask': 'reask_v1'}
        unknown = [purpose for purpose in self.prompts if purpose not in names]
        if unknown:
            raise UserError(f'prompts for classes: unknown purpose {unknown[0]!r}{did_you_mean(unknown[0], names)}')
        object.__setattr__(self, 'texts', load_prompts({**names, **self.prompts}))

    @property
    def identity(self) -> dict[str, Any]:
        """What descriptions depend on, as JSON can hold it."""
        prompts = {purpose: prompt.identity for purpose, prompt in self.texts.items()}
        return {'prompts': prompts, **{name: getattr(self, name) for name in ('max_tokens', 'temperature', 'seed')}}


@dataclass(frozen=True, kw_only=True)
class DescribedClasses:
    """What came of describing classes.

    Args:
        written: Number of classes that were described.
        kept: Number of those that an earlier run had described.
        missing: Classes without a description: whether the request failed or no answer was right, and why.
    """

    written: int
    kept: int
    missing: Mapping[str, tuple[State, str]]


async def describe_classes(
    classes: Sequence[str], out: Path, *, engine: BaseEngine, question: ClassQuestion
) -> DescribedClasses:
    """Ask a model to describe classes; those that the file has already are not asked about again.

    The file, in the format of :func:`~mmwtal.priors.sources.read_class_texts`, is written anew after each class. Beside
    it stands ``OUT.job.json`` with what the descriptions depend on, so that those of two models never mix.

    Args:
        classes: The classes.
        out: The file.
        engine: Who answers; it is open.
        question: What is asked.

    Raises:
        UserError: If the file is of another job or cannot be read, or another process writes it.
        EngineDown: If the engine is out of reach; what was described by then is in the file.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(out.with_name(f'.{out.name}.lock'), wait=False, busy=f'another process describes classes in {out}'):
        texts = _begun(out, {'engine': dict(engine.identity), **question.identity})
        kept = sum(label in texts for label in classes)
        missing: dict[str, tuple[State, str]] = {}
        limit, mentions = asyncio.Semaphore(engine.concurrency), ClassMentions(classes)

        async def describe(label: str) -> None:
            async with limit:
                outcome = await _ask(label, engine, question, mentions)
            if outcome.answer is None:
                missing[label] = (outcome.state, outcome.reason)
            else:
                texts[label] = _text(outcome.answer)
                _write(out, {one: texts[one] for one in (*classes, *texts) if one in texts})

        await _all_or_stop([asyncio.ensure_future(describe(label)) for label in classes if label not in texts])
        written = sum(label in texts for label in classes) - kept
    in_order = {label: missing[label] for label in classes if label in missing}
    return DescribedClasses(written=written, kept=kept, missing=in_order)


async def _all_or_stop(tasks: Sequence[asyncio.Future[None]]) -> None:
    """Wait for tasks; where one fails, stop the others and raise its error."""
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ask(
    label: str, engine: BaseEngine, question: ClassQuestion, mentions: ClassMentions
) -> Outcome[ClassAnswer]:
    conversation = Conversation(
        engine=engine,
        system=question.texts['system'],
        reask=question.texts['reask'],
        max_tokens=question.max_tokens,
        temperature=question.temperature,
        seed=question.seed,
    )

    def check(text: str) -> Checked[ClassAnswer]:
        return check_description(text, ClassAnswer, label=label, own=(), mentions=mentions)

    return await conversation.ask(question.texts['class'].fill(label=words_of_name(label)), ClassAnswer, check)


def _begun(out: Path, job: Mapping[str, Any]) -> dict[str, PriorText]:
    """Return what an earlier run of the same job has described."""
    path = out.with_name(f'{out.name}.job.json')
    if not out.exists():
        write_atomically(path, lambda file: file.write((json.dumps(job, indent=1) + '\n').encode()))
        return {}
    if not path.exists():
        raise UserError(f'{out} is there and was not begun by this command ({path.name} is missing): name another file')
    if read_json_object(path, what='job of class descriptions') != job:
        raise UserError(f'{out} was described by another model or prompt (see {path}): name another file, or remove it')
    return read_class_texts(out, [*read_json_object(out, what='class descriptions')])


def _text(answer: ClassAnswer) -> PriorText:
    complete = ' '.join(answer.sentences)
    absent = absent_key_words(complete, answer.key_words)
    key_words = tuple(dict.fromkeys(word for word in answer.key_words if word not in absent))
    return PriorText(key=(answer.motion,), complete=complete, key_words=key_words)


def _write(out: Path, texts: Mapping[str, PriorText]) -> None:
    content = {
        label: {'key': [*text.key], 'complete': text.complete, 'key_words': [*text.key_words]}
        for label, text in texts.items()
    }
    data = json.dumps(content, indent=1, ensure_ascii=False) + '\n'
    write_atomically(out, lambda file: file.write(data.encode()))
