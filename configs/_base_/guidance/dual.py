# MLLM4WTAL (CVPR 2025, arXiv:2411.08466), reconstructed: both priors, with what a small prototype found to work. Where
# each value comes from stands in the docstrings of mmwtal/models/guidance/ and its losses: [paper], [TSM/VLC], [CNM/CPL]
# or [ours]. `dual_literal.py` has the method as it is described, `dual_small.py` this one for small features.
_guidance = dict(
    type='DualPriorGuidance',
    texts=dict(type='PriorTexts', data_root='data', encoder=dict(type='StaticVectors', vectors='vectors.txt')),
    ksm=dict(
        type='KeySemanticMatching',
        loss=dict(type='KSMLoss', kind='bce', loss_weight=1.0),
        suppression=dict(type='TopKMILLoss', topk_ratio=7, suppressed=True, loss_weight=0.3),
    ),
    csr=dict(
        type='CompleteSemanticReconstruction',
        mask_generator=dict(type='AttentionMask'),
        reconstructor=dict(type='TextReconstructor'),
        masking=dict(type='WordMasking', candidates='content', ratio=1.0),
        loss=dict(type='CSRLoss', words='masked', negatives='whole', whole_margin=0.5),
    ),
    distillation=dict(type='InteractiveDistillation', mode='none'),
    teaching=dict(type='BaseTeaching', target='mean', loss_weight=3.0),
)
