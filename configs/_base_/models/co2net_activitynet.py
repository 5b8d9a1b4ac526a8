# ANT_CO2 of the same repository: CO2-Net with --k 5 and an average pool over the class activation sequence and the
# attentions. The published kernel follows from --max-seqlen 60 and --t 5, in training and at test:
# (60 // 5) // 2 * 2 + 1 = 13.
_base_ = ['./co2net.py']

_pool = 13

model = dict(
    num_classes=100,
    backbone=dict(pool_kernel=_pool),
    head=dict(pool_kernel=_pool, losses=dict(loss_mil=dict(topk_ratio=5), loss_mil_supp=dict(topk_ratio=5))),
)
