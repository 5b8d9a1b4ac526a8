# DELU_ACT of the same repository, with the options of scripts/train_activitynet.sh: --k 5 --alpha_edl 1.2
# --alpha_uct_guide 0.2 --amplitude 0.2 --alpha2 0.8 --rat_atn 5, another evidential loss, and CO2-Net's average pool,
# whose kernel follows from --max_seqlen 60 and the default --t 5: (60 // 5) // 2 * 2 + 1 = 13.
_base_ = ['./delu.py']

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
        ),
    ),
)
