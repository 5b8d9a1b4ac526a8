# A small UM. Architecture, losses and decoding are the published ones; width, the margin of the magnitude loss (the
# published 100 belongs to embeddings 2,048 wide) and the schedule are ours, chosen for a small model and a short run.
_base_ = ['../_base_/quick_run.py', '../_base_/models/um.py']

model = dict(
    num_classes='auto',
    in_channels='auto',
    backbone=dict(hidden_channels=128),
    head=dict(losses=dict(loss_um=dict(margin=10.0))),
)
train_dataloader = dict(batch_size=16, batch_sampler=dict(num_pairs=0))
auto_scale_lr = dict(base_batch_size=16)
optim_wrapper = dict(optimizer=dict(weight_decay=5e-4))
# What training anew must give, in percent; tools/analysis/model_zoo.py says what the stored results make of it.
_expected = dict(protocol='wtal_grid', seed=0, average=59.15, tolerance=2.0)
