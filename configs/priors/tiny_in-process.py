# A tiny random model, written by `tools/priors.py tiny-model data/tiny-mllm`: the whole road on a CPU in minutes.
# Its answers keep to the form and say nothing.
_base_ = ['../_base_/jobs/priors.py']

job = dict(
    engine=dict(type='Transformers', model='data/tiny-mllm', device='cpu'),
    dialogue=dict(max_frames=4, short_side=64, max_tokens=600),
    decoders=1,
)
