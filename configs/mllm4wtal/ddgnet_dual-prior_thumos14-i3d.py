# DDG-Net with dual-prior guidance (MLLM4WTAL, reconstructed) on THUMOS14; all else is the base's own.
_base_ = ['../ddgnet/ddgnet_thumos14-i3d.py', '../_base_/guidance/dual.py']

model = dict(guidance={{_base_._guidance}})
optim_wrapper = {{_base_._optim_wrapper}}
