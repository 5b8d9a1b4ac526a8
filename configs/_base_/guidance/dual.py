# MLLM4WTAL (CVPR 2025, arXiv:2411.08466), reconstructed: both priors, with what was found to work on small data
# (docs/method_notes.md). The source of each option, [paper], [TSM/VLC], [CNM/CPL] or [ours], stands in the docstrings
# of mmwtal/models/guidance/.
# `dual_literal.py` is the method as it is described. A leaf takes `_guidance` and `_optim_wrapper`.
_guidance = dict(
    type='DualPriorGuidance',
    # The descriptions of THUMOS14's training videos, imported by tools/priors.py, and GloVe, as TSM/VLC has it.
    texts=dict(
        type='PriorTexts',
        data_root='data/thumos14',
        encoder=dict(type='StaticVectors', path='glove.840B.300d.txt'),
    ),
    ksm=dict(
        type='KeySemanticMatching',
        mode='head',
        stream='inputs',
        scale=10.0,
        bias=-4.0,
        loss=dict(type='KSMLoss', kind='bce', topk_ratio=7, loss_weight=1.0),
        suppression=dict(type='TopKMILLoss', topk_ratio=7, suppressed=True, loss_weight=0.3),
    ),
    csr=dict(
        type='CompleteSemanticReconstruction',
        mask_generator=dict(type='AttentionMask', modalities=[1024, 1024]),
        # Words see a weighted mean of the video, and know the class: the mask has to choose what tells them the rest.
        reconstructor=dict(
            type='TextReconstructor', video='mean', key_given=True, encoder_layers=0, channel_dropout=0.3, noise=0.5
        ),
        masking=dict(type='WordMasking', candidates='action', ratio=1.0),
        loss=dict(type='CSRLoss', words='masked', negatives='whole', whole_margin=0.5),
    ),
    # 'none' and 'forward' are what worked; the weights act in every other mode [TSM/VLC: 1.5 on THUMOS14].
    distillation=dict(type='InteractiveDistillation', mode='none', key_weight=1.5, complete_weight=1.5),
    teaching=dict(type='BaseTeaching', target='mean', loss_weight=3.0),
)
# The guidance's own learning rate, without weight decay, its gradients clipped [CNM/CPL, TSM/VLC].
_optim_wrapper = dict(
    constructor='ParamGroupConstructor',
    paramwise_cfg=dict(guidance=dict(lr=4e-4, weight_decay=0.0, clip_grad=dict(max_norm=10.0))),
)
# 400 updates of warm-up from 1e-7, then a decay with the inverse square root [CNM/CPL, TSM/VLC].
param_scheduler = [dict(type='GroupScheduler', group='guidance', scheduler='InverseSqrtLR', by_epoch=False)]
# Tested with the mean of the weights over the last 20 % of training [ours, part of what worked]. The unguided run to
# compare with has it too: this config with --cfg-options model.guidance=None.
# A warning of attentions that are open, closed or the same everywhere.
custom_hooks = [dict(type='WeightAverageHook', start=0.8), dict(type='AttentionWatchHook')]
