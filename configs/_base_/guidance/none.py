# No guidance: the base model alone, with the optimizer and the schedule that a guided one has.
_base_ = ['./dual.py']

_guidance = None
