# A small TSM + VLC: architecture and losses are the published ones; widths, dropout and the weight of the norm loss are
# ours, chosen for narrow features and a short run.
_base_ = ['../_base_/quick_run.py', '../_base_/models/tsm.py', '../_base_/guidance/tsmvlc_small.py']

model = dict(
    num_classes='auto',
    in_channels='auto',
    backbone=dict(code_channels=32, attention_channels=64, dropout=0.2, fusion_dropout=0.3),
    # The word vectors of the embedded dataset have 50 numbers.
    head=dict(text_channels=50, dropout=0.3, text_dropout=0.2, losses=dict(loss_norm=dict(loss_weight=0.3))),
    guidance={{_base_._guidance}},
)
optim_wrapper = {{_base_._optim_wrapper}}
