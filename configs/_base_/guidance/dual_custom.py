# Dual-prior guidance on features of your own: of any width, with a sentence encoder that is fetched by its name.
_base_ = ['./dual.py']

_guidance = dict(
    texts=dict(
        data_root='data/custom',
        encoder=dict(_delete_=True, type='HFTextEncoder', model='sentence-transformers/all-MiniLM-L6-v2'),
    ),
    csr=dict(mask_generator=dict(modalities=None)),
)
