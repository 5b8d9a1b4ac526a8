# Guidance by the key semantics alone, on the aligned stream.
_base_ = ['./dual_aligned.py']

_guidance = dict(csr=None, distillation=None, teaching=dict(target='key'))
