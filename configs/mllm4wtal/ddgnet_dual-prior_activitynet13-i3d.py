# DDG-Net with dual-prior guidance (MLLM4WTAL, reconstructed) on ActivityNet 1.3; all else is the base's own.
_base_ = ['../ddgnet/ddgnet_activitynet13-i3d.py', '../_base_/guidance/dual_activitynet13.py']

model = dict(guidance={{_base_._guidance}})
optim_wrapper = {{_base_._optim_wrapper}}
