# Guidance by the key semantics alone.
_base_ = ['./dual.py']

_guidance = dict(csr=None, distillation=None, teaching=dict(target='key'))
