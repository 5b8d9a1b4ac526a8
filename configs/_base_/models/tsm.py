# The base model of TSM + VLC (CVPR 2023, arXiv:2305.00607), with the options of its repository
# (lgzlIlIlI/Boosting-WTAL): --k 7, --num_pro 9, alpha1 .8 (norm), alpha2 .8 (guide), alpha3 1 (co-activity), 1.5 for
# the autoencoders, dropout .5 and .7, in the text's part .5 and .1. The head takes the words of its classes from the
# texts of the guidance; text_channels is the width of their vectors, here GloVe's.
model = dict(
    type='WTALLocalizer',
    num_classes=20,
    in_channels=2048,
    data_preprocessor=dict(type='WTALDataPreprocessor'),
    backbone=dict(type='TSMBackbone'),
    head=dict(
        type='TextMadeHead',
        text_channels=300,
        num_words=2,
        num_prompts=9,
        losses=dict(
            loss_mil=dict(type='TopKMILLoss', topk_ratio=7),
            loss_mil_supp=dict(type='TopKMILLoss', topk_ratio=7, suppressed=True),
            loss_coactivity=dict(type='CoActivityLoss', num_pairs=3, margin=0.5),
            loss_norm=dict(type='AttentionNormLoss', loss_weight=0.8),
            loss_guide=dict(type='AttentionGuideLoss', loss_weight=0.8),
            loss_autoencoder=dict(type='AutoencoderLoss', loss_weight=1.5),
        ),
    ),
    decoder=dict(type='MultiThresholdDecoder'),
)
