# Qwen3-VL-8B-Instruct in this process, by transformers: one GPU, no server.
_base_ = ['../_base_/jobs/priors.py']

job = dict(engine=dict(type='Transformers', model='Qwen/Qwen3-VL-8B-Instruct', dtype='bfloat16'))
