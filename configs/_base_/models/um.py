# UM (AAAI 2021, arXiv:2006.07006), with the options of its repository (Pilhyeon/WTAL-Uncertainty-Modeling): --r_act 9,
# --r_bkg 4, --alpha 0.0005 (magnitude), --beta 1 (background entropy), --margin 100, --class_th 0.2; width, both
# dropouts of .7 and the decoding are written into its code.
_action_ratio = 9
_background_ratio = 4

model = dict(
    type='WTALLocalizer',
    num_classes=20,
    in_channels=2048,
    data_preprocessor=dict(type='WTALDataPreprocessor'),
    backbone=dict(type='UMBackbone'),
    head=dict(
        type='LinearHead',
        background=False,
        losses=dict(
            loss_cls=dict(type='TopKBCELoss', topk_ratio=_action_ratio),
            loss_um=dict(
                type='MagnitudeLoss',
                margin=100.0,
                action_ratio=_action_ratio,
                background_ratio=_background_ratio,
                loss_weight=5e-4,
            ),
            loss_be=dict(type='BackgroundEntropyLoss', background_ratio=_background_ratio),
        ),
    ),
    decoder=dict(type='UMDecoder', topk_ratio=_action_ratio, background_ratio=_background_ratio),
)
