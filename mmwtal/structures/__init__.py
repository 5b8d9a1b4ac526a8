"""The data structures that the parts of the toolbox exchange.

They are imported when first asked for: converters and the evaluation need the time base and no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmwtal.structures.localizer_output import LocalizerOutput
    from mmwtal.structures.text_batch import TextBatch
    from mmwtal.structures.timebase import Timebase
    from mmwtal.structures.wtal_data_sample import WTALDataSample

__all__ = ['LocalizerOutput', 'TextBatch', 'Timebase', 'WTALDataSample']

_MODULES = {
    'LocalizerOutput': 'localizer_output',
    'TextBatch': 'text_batch',
    'Timebase': 'timebase',
    'WTALDataSample': 'wtal_data_sample',
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{_MODULES[name]}'), name)
