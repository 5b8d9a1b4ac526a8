# TSM + VLC on THUMOS14: the base model with Video-text Language Completion; values as its fragments and its base state.
# The published code evaluates on the test split every 50 iterations and keeps the best: see --select-on-test.
_base_ = ['./tsm_thumos14-i3d.py', '../_base_/guidance/tsmvlc.py']

model = dict(guidance={{_base_._guidance}})
optim_wrapper = {{_base_._optim_wrapper}}
