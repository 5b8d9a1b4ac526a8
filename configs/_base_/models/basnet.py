# BaS-Net (AAAI 2020, arXiv:1911.09963), with the options of its repository (Pilhyeon/BaSNet-pytorch): --alpha 0.0001
# (filter norm), --class_th 0.25; k = T // 8, widths, dropout .7 and the decoding are written into its code.
model = dict(
    type='WTALLocalizer',
    num_classes=20,
    in_channels=2048,
    data_preprocessor=dict(type='WTALDataPreprocessor'),
    backbone=dict(type='BaSNetBackbone'),
    head=dict(
        type='LinearHead',
        background=True,
        losses=dict(
            loss_base=dict(type='TopKBCELoss', topk_ratio=8),
            loss_supp=dict(type='TopKBCELoss', topk_ratio=8, suppressed=True),
            loss_norm=dict(type='AttentionSumLoss', loss_weight=1e-4),
        ),
    ),
    decoder=dict(type='BaSNetDecoder'),
)
