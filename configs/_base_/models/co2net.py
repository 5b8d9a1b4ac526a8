# CO2-Net (ACM MM 2021, arXiv:2107.12589), with the options of its repository (harlanhong/MM2021-CO2-Net):
# --k 7, alpha1 .8 (norm), alpha2 .8 (guide), alpha3 1 (co-activity), alpha4 1 (mutual), dropout .7.
model = dict(
    type='WTALLocalizer',
    num_classes=20,
    in_channels=2048,
    data_preprocessor=dict(type='WTALDataPreprocessor'),
    backbone=dict(type='CO2NetBackbone'),
    head=dict(
        type='MILHead',
        losses=dict(
            loss_mil=dict(type='TopKMILLoss', topk_ratio=7),
            loss_mil_supp=dict(type='TopKMILLoss', topk_ratio=7, suppressed=True),
            loss_coactivity=dict(type='CoActivityLoss', num_pairs=3, margin=0.5),
            loss_mutual=dict(type='AttentionMutualLoss'),
            loss_norm=dict(type='AttentionNormLoss', loss_weight=0.8),
            loss_guide=dict(type='AttentionGuideLoss', loss_weight=0.8),
        ),
    ),
    decoder=dict(type='MultiThresholdDecoder'),
)
