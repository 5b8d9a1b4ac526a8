# The small DELU with dual-prior guidance.
_base_ = ['./delu_synthetic.py', '../_base_/guidance/dual_small.py']

model = dict(guidance={{_base_._guidance}})
optim_wrapper = {{_base_._optim_wrapper}}
