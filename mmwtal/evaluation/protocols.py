"""The named evaluation rules. One fixed set of detections moves by two points of mAP with the rule alone.

A result always carries the name and the hash of its rule. ``docs/protocols.md`` says for people what each one does, who
uses it and what difference it makes.

Common to all: a ground truth serves one detection, and a class without detections has an average precision of 0.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from types import MappingProxyType

from mmwtal.evaluation.rule import Protocol
from mmwtal.formats.thumos14 import CLASSES as THUMOS14_CLASSES
from mmwtal.utils.errors import UserError

ALL = 'all'

_ANET = Protocol(
    name='anet',
    source="ActivityNet's evaluator for temporal localization (activitynet/ActivityNet)",
    default_tious=(0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
    version=1,
)

_ACTIONFORMER = Protocol(
    name='actionformer',
    source="the ports of ActivityNet's evaluator in ActionFormer (happyharrycn/actionformer_release) and OpenTAD "
    '(sming256/OpenTAD)',
    default_tious=(0.3, 0.4, 0.5, 0.6, 0.7),
    version=1,
    unknown_class='drop',
    clean_ground_truth=True,
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

_WTAL_GRID_DELU = replace(
    _WTAL_GRID,
    name='wtal_grid_delu',
    source="CO2-Net's port as DELU's code uses it (MengyuanChen21/ECCV2022-DELU)",
    drop_up_to=1,
)

_WTAL_GRID_DDGNET = replace(
    _WTAL_GRID,
    name='wtal_grid_ddgnet',
    source="CO2-Net's port as DDG-Net's code uses it (XiaojunTang22/ICCV2023-DDGNet)",
    skipped_videos=('video_test_0000270', 'video_test_0001292', 'video_test_0001496'),
)

# Of equal scores numpy's sort there puts the earlier one first, as far as it is defined.
_WTALC = Protocol(
    name='wtalc',
    source="W-TALC's own evaluator (sujoyp/wtalc-pytorch)",
    default_tious=(0.1, 0.2, 0.3, 0.4, 0.5),
    version=1,
    snippet_grid=(25, 16),
    drop_ambiguous=True,
    unknown_class='drop',
    matching='first',
    interpolated=False,
    ties='earlier',
    all_classes_predicted=True,
    annotated_videos_only=True,
)

# The later of the two scripts. The one of the challenge itself interpolates precision at eleven recalls.
_THUMOS_OFFICIAL = Protocol(
    name='thumos_official',
    source="THUMOS14's MATLAB script TH14evalDet_Updated",
    default_tious=(0.1, 0.2, 0.3, 0.4, 0.5),
    version=1,
    drop_ambiguous='false_positives',
    unknown_class='warn',
    matching='per_instance',
    strict=True,
    interpolated=False,
    ties='video',
    classes=THUMOS14_CLASSES,
)

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        rule.name: rule
        for rule in (_ANET, _ACTIONFORMER, _WTAL_GRID, _WTAL_GRID_DELU, _WTAL_GRID_DDGNET, _WTALC, _THUMOS_OFFICIAL)
    }
)


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


def get_protocols(names: str | Iterable[str]) -> tuple[Protocol, ...]:
    """Return several rules, each once.

    Args:
        names: Their names, with commas between them or as an iterable; ``'all'`` for every one.

    Raises:
        UserError: If there is none of a name.
    """
    if names == ALL:
        return tuple(PROTOCOLS.values())
    listed = names.split(',') if isinstance(names, str) else names
    return tuple(get_protocol(name) for name in dict.fromkeys(name.strip() for name in listed))
