# DDG-Net (ICCV 2023, arXiv:2307.16415) on DELU's losses, with the options of train_thumos.sh of its repository
# (XiaojunTang22/ICCV2023-DDGNet): those of DELU, and --alpha5 3.2 (feature consistency) --temperature 0.5 --alpha6 1
# (complementary) --action_threshold 0.5 --background_threshold 0.5 --similarity_threshold 0.8 --top_k_rat 10
# (neighbour_ratio) --weight 2 (residual_weight is its inverse). Inference (proposal_methods.py) has CO2-Net's 10
# thresholds, not DELU's 20.
_base_ = ['./delu.py']

model = dict(
    backbone=dict(
        type='DDGNetBackbone',
        action_threshold=0.5,
        background_threshold=0.5,
        similarity_threshold=0.8,
        neighbour_ratio=10,
        residual_weight=0.5,
    ),
    head=dict(
        losses=dict(
            loss_feature_consistency=dict(type='FeatureConsistencyLoss', temperature=0.5, loss_weight=3.2),
            loss_complementary=dict(type='ComplementaryLoss', loss_weight=1.0),
        ),
    ),
    decoder=dict(attn_thresholds=(0.1, 0.9, 10)),
)
