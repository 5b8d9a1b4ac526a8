# The small CO2-Net with dual-prior guidance, its key semantics on the stream that is aligned with the texts; see
# co2net_key-aligned_synthetic.py.
_base_ = ['./co2net_synthetic.py', '../_base_/guidance/dual_aligned.py']

train_dataloader = dict(dataset=dict(streams={{_base_._streams}}))
model = dict(guidance={{_base_._guidance}})
optim_wrapper = {{_base_._optim_wrapper}}
