"""Guidance by the texts of a multimodal language model: more loss terms to train a base model with."""

from mmwtal.utils.discovery import import_submodules

import_submodules(__name__, __path__)
