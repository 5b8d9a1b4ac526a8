# The ancestor of dual.py: Video-text Language Completion of TSM + VLC (CVPR 2023, arXiv:2305.00607), with the values of
# its repository (lgzlIlIlI/Boosting-WTAL): template sentences, the base's attention in place of a key attention, the
# completion of a third of the words, both negatives, mutual distillation. Its text-made classifier is the head of a
# base model, configs/tsm/; any other base model can have this guidance, too. Words are weighted without its tagger.
# Slips of its released code are mended; vlc_compat=True repeats them: of texts (no spaces between classes), csr.masking
# (no word masked in a short sentence), csr.mask_generator and the base's TSMBackbone (dropout before the sigmoid) and
# csr.reconstructor (masked words overwritten by the unmasked ones).
_guidance = dict(
    type='DualPriorGuidance',
    texts=dict(
        type='PriorTexts',
        data_root='data/thumos14',
        encoder=dict(type='StaticVectors', path='glove.840B.300d.txt'),
        sources=('template',),
        template='one video of the {}.',
        joint_template=True,
    ),
    ksm=dict(type='KeySemanticMatching', mode='shared'),
    csr=dict(
        type='CompleteSemanticReconstruction',
        stream='filtered',
        mask_generator=dict(type='CrossModalMask', autoencoder_weight=1.5),
        reconstructor=dict(
            type='TextReconstructor',
            dropout=0.0,
            channel_dropout=0.0,
            noise=0.0,
            input_dropout=0.1,
            weighted='both',
            causal_video=True,
            norm='after',
            expansion=2,
            normalise=False,
        ),
        masking=dict(type='WordMasking', candidates='weighted', ratio=1 / 3),
        loss=dict(type='CSRLoss', words='all', negatives='both', whole_margin=0.1, inverse_margin=0.15),
    ),
    distillation=dict(type='InteractiveDistillation', mode='mutual', key_weight=1.5, complete_weight=1.5),
)
_optim_wrapper = dict(
    constructor='ParamGroupConstructor',
    paramwise_cfg=dict(guidance=dict(lr=4e-4, weight_decay=0.0, clip_grad=dict(max_norm=10.0))),
)
# 400 updates of warm-up from 1e-7, then a decay with the inverse square root.
param_scheduler = [dict(type='GroupScheduler', group='guidance', scheduler='InverseSqrtLR', by_epoch=False)]
