"""How far a prior store is."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from mmwtal.formats.annotations import AnnotationSet
from mmwtal.offline.job import State
from mmwtal.offline.plan import Plan
from mmwtal.priors.schema import PriorRecord


@dataclass(frozen=True, kw_only=True)
class StoreStatus:
    """How far a store is; a pair is a training video and one of its labels.

    Args:
        states: Pairs with a record, by state.
        halves: Pairs of the state ``ok`` that lack key or complete semantics because these were refused or failed.
        left: Pairs without a record that a run would do; None if the annotations are not known.
        out_of_reach: Pairs without a record whose video has no file; None as above, or if there is no plan.
        reasons: Why pairs are not ``ok``, most frequent first.
        sources: Pairs of the state ``ok``, by what their records name as source.
    """

    states: Counter[State]
    halves: int
    left: int | None
    out_of_reach: int | None
    reasons: Counter[str]
    sources: Counter[str]


def store_status(
    records: Mapping[tuple[str, str], PriorRecord], *, annotations: AnnotationSet | None, plan: Plan | None
) -> StoreStatus:
    """Count the records of a store.

    Args:
        records: What the store holds.
        annotations: Those of the data root, if known.
        plan: The store's plan, if it has one.
    """
    left, out_of_reach = None, None
    if annotations is not None:
        pairs = {(video.video_id, label) for video in annotations.in_subset('training') for label in video.labels}
        open_pairs = pairs - records.keys()
        planned = None if plan is None else {entry.video for entry in plan.entries}
        reachable = open_pairs if planned is None else {pair for pair in open_pairs if pair[0] in planned}
        left = len(reachable)
        out_of_reach = None if planned is None else len(open_pairs) - left
    found = records.values()
    return StoreStatus(
        states=Counter(record.state for record in found),
        halves=sum(record.state == 'ok' and bool(record.faults) for record in found),
        left=left,
        out_of_reach=out_of_reach,
        reasons=Counter(record.reason for record in found if record.state != 'ok'),
        sources=Counter(record.source for record in found if record.state == 'ok'),
    )
