# Dual-prior guidance at less cost: the mask is made of the base's embedding, and the reconstructor is smaller; the
# sizes are ours. benchmarks/results/guidance-cpu-2-cores.md has what it costs beside dual.py and dual_literal.py.
_base_ = ['./dual.py']

_guidance = dict(
    csr=dict(
        mask_generator=dict(_delete_=True, type='LightMask'),
        reconstructor=dict(hidden_channels=256),
    ),
)
