"""The dialogue about one video: first what is seen and by which motion, then the course of each action that is seen."""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from mmwtal.offline.job import ItemFailed, State, VideoEntry
from mmwtal.priors.answers import Action, CompleteAnswer, JoinedAnswer, key_answer
from mmwtal.priors.asked_records import Described, Seen, costs, record_of
from mmwtal.priors.class_mentions import ClassMentions
from mmwtal.priors.conversation import Conversation, Outcome, ReadClip, Stretch
from mmwtal.priors.dialogue import Dialogue
from mmwtal.priors.engines.base import BaseEngine
from mmwtal.priors.joining import evenly_chosen, merge_actions
from mmwtal.priors.schema import PriorRecord
from mmwtal.priors.validate import CONTEXT, Checked, Sighting, check_description, check_key_answer
from mmwtal.utils.words import words_of_name
from mmwtal.video.sampling import windows

UNSEEN = 'the model does not see it'
NOT_REPORTED = 'not seen by the model'


async def ask_video(
    entry: VideoEntry,
    labels: Sequence[str],
    *,
    engine: BaseEngine,
    read_clip: ReadClip,
    classes: Sequence[str],
    settings: Dialogue,
    all_labels: Sequence[str] = (),
) -> list[PriorRecord]:
    """Ask a model about the actions in a video.

    A part of a text that does not come about is no loss of the other: the record is then ``ok`` and says in ``faults``
    why a part is missing. With neither part it is ``failed`` or ``refused``.

    Args:
        entry: The video.
        labels: The classes that are asked about: those that it is labelled with, or some of them.
        engine: Who answers.
        read_clip: Reads a part of the video: start and end in seconds, frames at most.
        classes: The classes of the data set; no text may name another one than those of the video.
        settings: What is asked.
        all_labels: All classes that it is labelled with, where ``labels`` are not all of them.

    Returns:
        A record for each label.

    Raises:
        ItemFailed: If the video cannot be read.
        EngineDown: If the engine is out of reach.
        WorkerDied: If a process died of the video.
        UserError: If no question will be answered.
    """
    if not labels:
        return []
    video = _Video(entry, labels, engine, read_clip, tuple(classes), settings, all_labels)
    return await video.records()


class _Video:
    """The dialogue about one video."""

    def __init__(
        self,
        entry: VideoEntry,
        labels: Sequence[str],
        engine: BaseEngine,
        read_clip: ReadClip,
        classes: tuple[str, ...],
        settings: Dialogue,
        all_labels: Sequence[str],
    ) -> None:
        self._entry, self._labels, self._engine, self._settings = entry, tuple(labels), engine, settings
        self._mentions, self._own = _mentions_of(classes), frozenset([*labels, *all_labels])
        asked = classes if settings.label_prior == 'classes' else self._labels
        self._label_of = asked_as(tuple(dict.fromkeys([*asked, *self._labels])))
        self._name_of = {label: name for name, label in self._label_of.items()}
        self._stretches: list[Stretch] = windows(
            entry.duration,
            one_pass=settings.one_pass_seconds,
            window=settings.window_seconds,
            overlap=settings.overlap_seconds,
        )
        self._conversation = Conversation(
            engine=engine,
            system=settings.texts['system'],
            reask=settings.texts['reask'],
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            seed=settings.seed,
            read_clip=read_clip,
            max_frames=settings.max_frames,
        )

    async def records(self) -> list[PriorRecord]:
        """Return the record of each label."""
        outcomes = await self._ask_key() if 'key' in self._settings.parts else []
        common = self._key_details(outcomes)
        records = []
        for label in self._labels:
            seen = self._seen(label, outcomes)
            described = await self._describe(label, seen) if self._to_describe(seen) else None
            about: dict[str, Any] = {'source': self._engine.name, 'details': common}
            records.append(record_of(self._entry.video, label, seen=seen, described=described, **about))
        return records

    async def _ask_key(self) -> list[Outcome[Sighting]]:
        settings = self._settings
        all_classes = settings.label_prior == 'classes'
        names = self._label_of if all_classes else [self._name_of[label] for label in self._labels]
        model = key_answer(tuple(names), spans=settings.spans, seen_only=all_classes)
        listed = '\n'.join(f'- {name}' for name in names)
        outcomes = []
        for start, end in self._stretches:

            def check(text: str, start: float = start, end: float = end) -> Checked[Sighting]:
                return check_key_answer(
                    text,
                    model,
                    asked={name: self._label_of[name] for name in names},
                    start=start,
                    end=end,
                    mentions=self._mentions,
                    own=self._own,
                )

            question = settings.texts['key'].fill(labels=listed, **self._times(start, end))
            outcomes.append(await self._conversation.ask(question, model, check, stretch=(start, end)))
        if all(outcome.unreadable for outcome in outcomes):
            raise ItemFailed(outcomes[0].reason)
        return outcomes

    def _seen(self, label: str, outcomes: Sequence[Outcome[Sighting]]) -> Seen:
        """Put together what the windows say of a label."""
        if not outcomes:
            return Seen(asked=False, stretches=self._stretches)
        name, stretches, actions = self._name_of[label], list[Stretch](), list[Action]()
        faults: list[tuple[State, str]] = []
        for stretch, outcome in zip(self._stretches, outcomes, strict=True):
            if outcome.answer is None:
                faults.append((outcome.state, outcome.reason))
                continue
            action = outcome.answer.seen.get(name)
            if action is None:
                continue
            stretches.append(stretch)
            problems = [problem.text for problem in outcome.problems if problem.spot == name]
            if problems:
                faults.append(('refused', '; '.join(problems)))
            else:
                actions.append(action)
        if actions:
            return Seen(stretches=stretches, merged=merge_actions(actions))
        if faults:
            # A label that the model sees nowhere else may be in the window that brought nothing.
            return Seen(stretches=stretches or self._stretches, state=faults[0][0], reason=faults[0][1])
        reason = NOT_REPORTED if self._settings.label_prior == 'classes' else UNSEEN
        return Seen(state='refused', reason=reason, denied=True)

    def _to_describe(self, seen: Seen) -> bool:
        # Among all classes a label counts only if the model found it by itself.
        found = seen.merged is not None or self._settings.label_prior == 'video'
        return 'complete' in self._settings.parts and not seen.denied and found

    async def _describe(self, label: str, seen: Seen) -> Described:
        """Ask for the course of an action in the windows where it is seen, and join what is said."""
        chosen = [seen.stretches[n] for n in evenly_chosen(len(seen.stretches), self._settings.max_windows_described)]
        outcomes = [await self._ask_complete(label, stretch) for stretch in chosen]
        details = costs(outcomes)
        found = [(one, where) for one, where in zip(outcomes, chosen, strict=True) if one.answer is not None]
        if not found:
            if 'key' not in self._settings.parts and all(one.unreadable for one in outcomes):
                raise ItemFailed(outcomes[0].reason)
            return Described(state=outcomes[0].state, reason=outcomes[0].reason, details=details)
        best: Outcome[Any] = found[0][0]
        if len(found) > 1:
            joined = await self._join(label, [(one.answer, where) for one, where in found if one.answer is not None])
            details = costs([*outcomes, joined])
            if joined.answer is None:
                details['not_joined'] = joined.reason
            else:
                best = joined
        if len(self._stretches) > 1:
            details['described'] = [[*where] for _, where in found]
        return Described(answer=best.answer, details=details)

    async def _ask_complete(self, label: str, stretch: Stretch) -> Outcome[CompleteAnswer]:
        question = self._settings.texts['complete'].fill(label=self._name_of[label], **self._times(*stretch))

        def check(text: str) -> Checked[CompleteAnswer]:
            return check_description(text, CompleteAnswer, label=label, own=self._own, mentions=self._mentions)

        return await self._conversation.ask(question, CompleteAnswer, check, stretch=stretch)

    async def _join(self, label: str, descriptions: Sequence[tuple[CompleteAnswer, Stretch]]) -> Outcome[JoinedAnswer]:
        parts = [f'From {start:.1f} s to {end:.1f} s: {" ".join(one.sentences)}' for one, (start, end) in descriptions]
        texts = {'label': self._name_of[label], 'descriptions': '\n\n'.join(parts)}

        def check(text: str) -> Checked[JoinedAnswer]:
            return check_description(text, JoinedAnswer, label=label, own=self._own, mentions=self._mentions)

        return await self._conversation.ask(self._settings.texts['join'].fill(**texts), JoinedAnswer, check)

    def _times(self, start: float, end: float) -> dict[str, str]:
        return {'start': f'{start:.1f}', 'end': f'{end:.1f}', 'duration': f'{self._entry.duration:.1f}'}

    def _key_details(self, outcomes: Sequence[Outcome[Sighting]]) -> dict[str, Any]:
        """Return what records of all labels say of the key question."""
        prompts = self._settings.texts
        details: dict[str, Any] = {'prompts': {part: prompts[part].name for part in self._settings.parts}}
        if len(self._stretches) > 1:
            details['windows'] = [[*stretch] for stretch in self._stretches]
        if not outcomes:
            return details
        details['key'] = costs(outcomes)
        contexts = [
            one.answer.context
            for one in outcomes
            if one.answer is not None and not any(problem.spot == CONTEXT for problem in one.problems)
        ]
        if contexts:
            details['context'] = contexts[0]
        named = {self._label_of[name]: None for one in outcomes if one.answer is not None for name in one.answer.seen}
        hallucinated = [label for label in named if label not in self._own]
        return {**details, **({'hallucinated': hallucinated} if hallucinated else {})}


def asked_as(labels: Sequence[str]) -> dict[str, str]:
    """Return the words by which each class is asked about, and the class: ``{"high jump": "HighJump"}``.

    Classes whose words are the same are asked about as they are spelt.
    """
    names = [words_of_name(label) for label in labels]
    alike = {name for name, count in Counter([*names, *(set(labels) - set(names))]).items() if count > 1}
    return {label if name in alike else name: label for name, label in zip(names, labels, strict=True)}


@lru_cache(maxsize=4)
def _mentions_of(classes: tuple[str, ...]) -> ClassMentions:
    return ClassMentions(classes)
