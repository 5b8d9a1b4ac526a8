"""The data structures that the parts of the toolbox exchange."""

from mmwtal.structures.localizer_output import LocalizerOutput
from mmwtal.structures.timebase import Timebase
from mmwtal.structures.wtal_data_sample import WTALDataSample

__all__ = ['LocalizerOutput', 'Timebase', 'WTALDataSample']
