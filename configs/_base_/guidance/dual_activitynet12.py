# Dual-prior guidance on ActivityNet 1.2: the weights of the distillation are those of TSM/VLC there.
_base_ = ['./dual.py']

_guidance = dict(
    texts=dict(data_root='data/activitynet12'),
    distillation=dict(key_weight=0.25, complete_weight=0.25),
)
