"""How far a prior store is: counts for a person who asks while it is being filled, without judging any text."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import get_args

from mmwtal.formats.annotations import AnnotationSet
from mmwtal.formats.findings import shown
from mmwtal.offline.job import State
from mmwtal.offline.lists import counted_lines
from mmwtal.offline.plan import Plan
from mmwtal.priors.schema import PriorRecord
from mmwtal.priors.store import PriorStore

_NUMBER = re.compile(r'\d+(?:\.\d+)?')
_QUOTED = re.compile(r'"[^"]*"(?:, "[^"]*")*|\'[^\']*\'')


def format_status(store: PriorStore, plan: Plan | None, annotations: AnnotationSet | None) -> str:
    """Return what is done and what is left, as text.

    Args:
        store: The store.
        plan: Its plan; None for one that was imported.
        annotations: Whose training videos and labels are counted, where they are known.

    Raises:
        UserError: If the store cannot be read.
    """
    records, manifest = store.read(), store.manifest()
    kind, fingerprint = manifest['job'].get('kind', 'unknown'), manifest['fingerprint'][:12]
    lines = [f'{store.folder}: {kind}, fingerprint {fingerprint}']
    if plan is not None:
        figures = f'{len(plan.entries)} planned, {len(plan.unreadable)} unreadable, {len(plan.missing)} missing'
        lines.append(f'videos    {figures}')
    counts = [f'{count} {state}' for state, count in states_of(records.values()).items() if count]
    if annotations is not None:
        videos = annotations.in_subset('training')
        left = [(one.video_id, label) for one in videos for label in one.labels if (one.video_id, label) not in records]
        planned = {video for video, _ in left} if plan is None else {entry.video for entry in plan.entries}
        to_do = sum(video in planned for video, _ in left)
        counts += [f'{to_do} to do', *([f'{len(left) - to_do} without a file'] if to_do < len(left) else [])]
    lines.append(f'pairs     {", ".join(counts) or "none"} (a pair is a video and one of its labels)')
    if halves := sum(record.state == 'ok' and bool(record.faults) for record in records.values()):
        lines.append(f'          {halves} of those that are ok lack key or complete semantics')
    lines += [f'source    {shown(source)}: {count}' for source, count in sources_of(records.values()).items()]
    if busy := store.ledger.busy():
        lines.append(f'running   {", ".join(busy)}')
    reasons = [f'{count} x {reason}' for reason, count in reasons_of(records.values()).items()]
    return '\n'.join([*lines, *counted_lines('reasons why something is missing', reasons)])


def states_of(records: Iterable[PriorRecord]) -> dict[str, int]:
    """Count records by state, in the order of states."""
    found = Counter(record.state for record in records)
    return {state: found[state] for state in get_args(State)}


def sources_of(records: Iterable[PriorRecord]) -> dict[str, int]:
    """Count records that are ``ok`` by source."""
    return by_number(record.source for record in records if record.state == 'ok')


def reasons_of(records: Iterable[PriorRecord]) -> dict[str, int]:
    """Count why records are not ``ok``, or lack a part."""
    return by_number(why for record in records for why in _reasons(record))


def by_number(names: Iterable[str]) -> dict[str, int]:
    """Count names, the most frequent first, then by the alphabet."""
    return dict(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0])))


def _reasons(record: PriorRecord) -> list[str]:
    """Return why something is missing, without what differs from record to record: quotations and numbers."""
    found = [*record.faults.values()] if record.state == 'ok' else [f'{record.state}: {record.reason}']
    return [_NUMBER.sub('N', _QUOTED.sub('"..."', reason)) for reason in found]
