# The small UM with dual-prior guidance.
_base_ = ['./um_synthetic.py', '../_base_/guidance/dual_small.py']

model = dict(guidance={{_base_._guidance}})
optim_wrapper = {{_base_._optim_wrapper}}
