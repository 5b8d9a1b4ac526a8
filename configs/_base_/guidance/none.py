# No guidance: the base model alone, with the averaged weights that a guided one is tested with.
_base_ = ['./dual.py']

_guidance = None
