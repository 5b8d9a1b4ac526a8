# A small DELU. Architecture and losses are the published ones; width, dropout, the weight of the norm loss and the
# learning rate are ours, chosen for a small model and a short run.
_base_ = ['../_base_/quick_run.py', '../_base_/models/delu.py']

model = dict(
    num_classes='auto',
    in_channels='auto',
    backbone=dict(attention_channels=64, dropout=0.2, fusion_dropout=0.3),
    head=dict(dropout=0.3, losses=dict(loss_norm=dict(loss_weight=0.15))),
)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
# What training anew must give, in percent; tools/analysis/model_zoo.py says what the stored results make of it.
_expected = dict(protocol='wtal_grid', seed=0, average=32.01, tolerance=5.0)
