# Qwen3-VL-8B-Instruct on an OpenAI-compatible server (vLLM, SGLang, LMDeploy); docs/asking.md has the server's command.
_base_ = ['../_base_/jobs/priors.py']

job = dict(
    engine=dict(
        type='OpenAICompatible',
        model='Qwen/Qwen3-VL-8B-Instruct',
        base_url='http://127.0.0.1:8000/v1',
        concurrency=16,
    )
)
