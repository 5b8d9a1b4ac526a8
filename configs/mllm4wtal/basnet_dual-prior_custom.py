# BaS-Net with dual-prior guidance (MLLM4WTAL, reconstructed) on your own data: give --data-root.
_base_ = ['../basnet/basnet_custom.py', '../_base_/guidance/dual_custom.py']

model = dict(guidance={{_base_._guidance}})
optim_wrapper = {{_base_._optim_wrapper}}
