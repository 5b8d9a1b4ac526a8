# Dual-prior guidance with the losses taken literally from the method's description, where each differs from dual.py. A
# prototype lost 1 to 4 points with it; it is here to be compared with.
_base_ = ['./dual.py']

_guidance = dict(
    ksm=dict(bias=0.0, suppression=dict(loss_weight=1.0)),
    csr=dict(
        reconstructor=dict(
            video='snippets', key_given=False, encoder_layers=3, channel_dropout=0.0, noise=0.0, weighted='both'
        ),
        masking=dict(candidates='weighted', ratio=1 / 3),
        loss=dict(words='all', negatives='both', whole_margin=0.1, inverse_margin=0.15),
    ),
    distillation=dict(mode='alternate'),
    teaching=dict(loss_weight=1.0),
)
