"""Transforms: from a video's record to the sample that the model gets."""

from mmwtal.utils.discovery import import_submodules

import_submodules(__name__, __path__)
