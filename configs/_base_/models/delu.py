# DELU (ECCV 2022) on the network of CO2-Net, with the options of scripts/train_thumos.sh of its repository
# (MengyuanChen21/ECCV2022-DELU): --k 7 --alpha_edl 1.3 (evidential) --alpha_uct_guide 0.4 --amplitude 0.7
# --alpha2 0.4 (guide); alpha1 .8 (norm), alpha3 1, alpha4 1, rat_atn 9, dropout .7 by default. Of its inference
# (proposal_methods.py) only the number of thresholds differs from CO2-Net's: 20.
_base_ = ['./co2net.py']

model = dict(
    head=dict(
        losses=dict(
            loss_guide=dict(loss_weight=0.4),
            loss_evidential=dict(type='EvidentialLoss', attn_ratio=9, evidence='exp', form='log', loss_weight=1.3),
            loss_uncertainty_guide=dict(type='UncertaintyGuideLoss', amplitude=0.7, loss_weight=0.4),
        ),
    ),
    decoder=dict(attn_thresholds=(0.1, 0.9, 20)),
)
