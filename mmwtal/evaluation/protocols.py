"""Named evaluation rules. One fixed set of detections moves by two points of mAP with the rule alone.

A result always carries the name and the hash of its rule. To change a rule is to publish a new ``version`` of it; to
add one is to add a :class:`Protocol` to ``PROTOCOLS``. Where a new rule differs from the present ones in a way that no
field describes yet, the field is added with a default that means the behaviour so far: the hash leaves out fields at
their default, so the hashes of published results stay as they are.

Common to the rules here: average precision as in PASCAL VOC 2011; a detection takes the best free ground truth at or
above the threshold; zero-length and duplicate ground truth is kept; the classes are those with ground truth in the
subset; a detection in a video that is not in the subset is a false positive, as in ActivityNet's evaluator.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from mmwtal.utils.errors import UserError

_LABEL = {'rule': False}  # what names or presents a rule and does not change a result


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One evaluation rule.

    Args:
        name: What tools and configs call it.
        source: Whose evaluator it restates.
        default_tious: Thresholds where none are given.
        version: Raised whenever what the fields mean changes.
        snippet_grid: (fps, stride) of the snippet grid that times are rounded to, in frames; None: seconds.
        drop_ambiguous: Leave out detections that overlap an ambiguous stretch of their video.
        unknown_class: What is done about a detection whose class the ground-truth file does not know at all:
            ``'error'``, or ``'drop'``, counted. A class that it knows but that has no instance in the subset has no
            average precision, so its detections are always dropped, and counted.
    """

    name: str = field(metadata=_LABEL)
    source: str = field(metadata=_LABEL)
    default_tious: tuple[float, ...] = field(metadata=_LABEL)
    version: int
    snippet_grid: tuple[int, int] | None = None
    drop_ambiguous: bool = False
    unknown_class: Literal['error', 'drop'] = 'error'

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that change with the rule's behaviour, not with its name."""
        rule = {f.name: getattr(self, f.name) for f in fields(self) if f.metadata != _LABEL}
        stated = {f.name: rule[f.name] for f in fields(self) if f.name in rule and rule[f.name] != f.default}
        return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def unit(self) -> str:
        """What its segments are measured in, for people to read."""
        if self.snippet_grid is None:
            return 'seconds'
        return f'snippets of {self.snippet_grid[1]} frames at {self.snippet_grid[0]} fps, rounded'

    def in_unit(self, seconds: np.ndarray) -> np.ndarray:
        """Return segments in the rule's unit: ground truth, ambiguous stretches and detections alike.

        Published code rounds ground truth with Python's ``round(seconds * 25 / 16)``, halves to even. The same
        operations in the same order are used here, not a ``Timebase``, since the last bit decides on which side a half
        falls.

        In the published code detections are whole snippets from the start. Rounding gives exactly these back from
        seconds that were made of them, whose last bits carry noise (7 snippets come as 7.000000000000001), and it puts
        detections from elsewhere on the grid.

        Args:
            seconds: (N, 2).

        Returns:
            (N, 2), float64.
        """
        seconds = np.asarray(seconds, dtype=np.float64)
        if self.snippet_grid is None:
            return seconds
        fps, stride = self.snippet_grid
        return np.rint(seconds * fps / stride)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields and the hash."""
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, 'hash': self.hash}


_ANET = Protocol(
    name='anet',
    source="ActivityNet's evaluator for temporal localization (activitynet/ActivityNet)",
    default_tious=(0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
    version=1,
)

_WTAL_GRID = Protocol(
    name='wtal_grid',
    source="the port of ActivityNet's evaluator in CO2-Net's code (harlanhong/MM2021-CO2-Net)",
    default_tious=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
    version=1,
    snippet_grid=(25, 16),
    drop_ambiguous=True,
    unknown_class='drop',
)

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({rule.name: rule for rule in (_ANET, _WTAL_GRID)})


def get_protocol(name: str) -> Protocol:
    """Return a rule by its name.

    Raises:
        UserError: If there is none of that name; the message names the nearest.
    """
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    nearest = get_close_matches(str(name), PROTOCOLS, n=1, cutoff=0.4)
    hint = f' Did you mean {nearest[0]!r}?' if nearest else ''
    raise UserError(f'There is no evaluation protocol {name!r}.{hint} Known: {", ".join(sorted(PROTOCOLS))}.')
