# A small DDG-Net. Architecture and losses are the published ones; width, dropout, the weights of the norm and feature
# consistency losses and the learning rate are ours, chosen for a small model and a short run. So is the similarity:
# these features have both signs, and 0.8 would link no two snippets.
_base_ = ['../_base_/quick_run.py', '../_base_/models/ddgnet.py']

model = dict(
    num_classes='auto',
    in_channels='auto',
    backbone=dict(attention_channels=64, dropout=0.2, fusion_dropout=0.3, similarity_threshold=0.45),
    head=dict(
        dropout=0.3,
        losses=dict(loss_norm=dict(loss_weight=0.15), loss_feature_consistency=dict(loss_weight=0.3)),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
# What training anew must give, in percent; tools/analysis/model_zoo.py says what the stored results make of it.
_expected = dict(protocol='wtal_grid', seed=0, average=39.89, tolerance=4.5)
