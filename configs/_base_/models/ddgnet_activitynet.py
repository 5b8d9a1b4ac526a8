# DELU_ACT with --AWM DDG_Net of the same repository: the options of its train_activity.sh are DELU's for ActivityNet,
# and --alpha5 1.7 (feature consistency) --alpha6 0.5 (complementary); the others of DDG-Net as on THUMOS14.
_base_ = ['./ddgnet.py']

# (60 // 5) // 2 * 2 + 1, from --max_seqlen 60 and the default --t 5, in training and at test.
_pool = 13

model = dict(
    num_classes=100,
    backbone=dict(pool_kernel=_pool),
    head=dict(
        pool_kernel=_pool,
        losses=dict(
            loss_mil=dict(topk_ratio=5),
            loss_mil_supp=dict(topk_ratio=5),
            loss_guide=dict(loss_weight=0.8),
            loss_evidential=dict(attn_ratio=5, evidence='relu', form='mse', loss_weight=1.2),
            loss_uncertainty_guide=dict(amplitude=0.2, loss_weight=0.2),
            loss_feature_consistency=dict(loss_weight=1.7),
            loss_complementary=dict(loss_weight=0.5),
        ),
    ),
)
