# CO2-Net with dual-prior guidance (MLLM4WTAL, reconstructed) on ActivityNet 1.2; all else is the base's own.
_base_ = ['../co2net/co2net_activitynet12-i3d.py', '../_base_/guidance/dual_activitynet12.py']

model = dict(guidance={{_base_._guidance}})
optim_wrapper = {{_base_._optim_wrapper}}
