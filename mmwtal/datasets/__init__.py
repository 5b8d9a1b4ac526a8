"""Datasets, transforms and samplers: from files on disk to batches."""

from mmwtal.utils.discovery import import_submodules

import_submodules(__name__, __path__)
