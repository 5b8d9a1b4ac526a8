# Guidance by the complete semantics alone.
_base_ = ['./dual.py']

_guidance = dict(ksm=None, distillation=None, teaching=dict(target='complete'))
