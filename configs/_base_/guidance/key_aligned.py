# Guidance by the key semantics alone, on the aligned stream. The phrases name the execution only, so that the base is
# taught the shape of the key attention over time, not its level, which is low wherever else the action goes on [ours].
_base_ = ['./dual_aligned.py']

_guidance = dict(csr=None, distillation=None, teaching=dict(target='key', match='shape'))
