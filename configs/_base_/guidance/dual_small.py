# Dual-prior guidance for narrow features and short runs, as the embedded dataset has them: widths, depths and the
# constant learning rate are ours.
_base_ = ['./dual.py']

_guidance = dict(
    texts=dict(data_root='data/synthetic', encoder=dict(path='vectors.txt')),
    ksm=dict(hidden_channels=64, embed_channels=64, dropout=0.3),
    csr=dict(
        mask_generator=dict(modalities=None, hidden_channels=64, dropout=0.3),
        reconstructor=dict(hidden_channels=64, decoder_layers=1),
    ),
)
_optim_wrapper = dict(paramwise_cfg=dict(guidance=dict(lr=1e-3)))
param_scheduler = None
