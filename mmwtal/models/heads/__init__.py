"""Heads: from snippet embeddings to class activation sequences and losses."""

from mmwtal.utils.discovery import import_submodules

import_submodules(__name__, __path__)
