"""The losses against plain loops over videos and classes."""

import json
import os
import socket
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.models.losses.attention import attention_guide_loss, attention_mutual_loss, attention_norm_loss
from mmwtal.models.losses.suppression import suppress
from mmwtal.models.losses.topk_mil import topk_mil_loss
from mmwtal.registry import MODELS

from .padded import LENGTHS, make_output


def plain_mil(output, labels, ratio, suppressed):
    total = 0
    for video, length in enumerate(output.lengths.tolist()):
        cas = output.cas[video, :length]
        if suppressed:
            low = cas.min(-1, keepdim=True)[0]
            cas = output.attn[video, :length] * (cas - low) + low
        target = torch.cat([labels[video], torch.tensor([0.0 if suppressed else 1.0]).to(cas)])
        target = target / (target.sum() + 1e-4)
        pooled = cas.sort(0, descending=True)[0][: max(1, int(length // ratio))].mean(0)
        total = total - (target * pooled.log_softmax(0)).sum()
    return total / len(labels)


@settings(max_examples=40, deadline=None)
@given(lengths=LENGTHS, seed=st.integers(0, 999), ratio=st.sampled_from([1, 5, 7, 2.5]), suppressed=st.booleans())
def test_topk_mil(lengths, seed, ratio, suppressed):
    output, labels = make_output(lengths, seed)
    loss = MODELS.build({'type': 'TopKMILLoss', 'topk_ratio': ratio, 'suppressed': suppressed, 'loss_weight': 3})
    torch.testing.assert_close(loss(output, labels), 3 * plain_mil(output, labels, ratio, suppressed))


def test_topk_mil_without_background_or_without_any_class():
    output, labels = make_output([9, 4], background=False)
    loss = MODELS.build({'type': 'TopKMILLoss', 'topk_ratio': 7, 'suppressed': True})
    cas = suppress(output.cas, output.attn)
    torch.testing.assert_close(loss(output, labels), topk_mil_loss(cas, labels, output.mask, topk_ratio=7))
    assert loss(output, torch.zeros_like(labels)) == 0


def plain_co_activity(output, labels, num_pairs, margin):
    total, count = 0, 0
    for first in range(0, min(2 * num_pairs, len(labels) // 2 * 2), 2):
        high, low = [], []
        for video in (first, first + 1):
            length = int(output.lengths[video])
            cas = output.cas[video, :length]
            smallest = cas.min(-1, keepdim=True)[0]
            weight = (output.attn[video, :length] * (cas - smallest) + smallest).softmax(0)
            high.append(output.feat[video, :length].T @ weight)
            low.append(output.feat[video, :length].T @ ((1 - weight) / max(length - 1, 1)))
        for c in range(labels.shape[1]):
            if labels[first, c] * labels[first + 1, c] == 0:
                continue

            def distance(a, b, c=c):
                norm = a[:, c].norm() * b[:, c].norm()
                return 1 - (a[:, c] @ b[:, c] / norm if norm > 1e-12 else 0 * norm)

            agree = distance(high[0], high[1])
            total = total + 0.5 * (agree - distance(high[0], low[1]) + margin).clamp(min=0)
            total = total + 0.5 * (agree - distance(high[1], low[0]) + margin).clamp(min=0)
            count += 1
    return total / count if count else torch.tensor(0.0, dtype=output.cas.dtype)


@settings(max_examples=40, deadline=None)
@given(lengths=LENGTHS, seed=st.integers(0, 999), num_pairs=st.integers(0, 4))
def test_co_activity(lengths, seed, num_pairs):
    output, labels = make_output(lengths, seed)
    loss = MODELS.build({'type': 'CoActivityLoss', 'num_pairs': num_pairs, 'margin': 0.5})
    torch.testing.assert_close(loss(output, labels), plain_co_activity(output, labels, num_pairs, 0.5))


def test_co_activity_ignores_videos_after_the_pairs():
    output, labels = make_output([5, 6, 7, 8])
    labels[:] = 1
    loss = MODELS.build({'type': 'CoActivityLoss', 'num_pairs': 1})
    reference = loss(output, labels)
    assert reference > 0
    output.feat[2:] = 3.0
    assert loss(output, labels) == reference


@pytest.mark.parametrize('lengths', [[6, 6], [1, 1], [1, 5]])
@pytest.mark.parametrize('share', [True, False])
def test_co_activity_has_finite_gradients(lengths, share):
    output, labels = make_output(lengths)
    labels = torch.tensor([[1.0, 0, 0, 0], [float(share), 1, 0, 0]], dtype=torch.float64)
    leaves = [values.nan_to_num().requires_grad_() for values in (output.feat, output.cas, output.attn)]
    output.feat, output.cas, output.attn = leaves
    value = MODELS.build({'type': 'CoActivityLoss'})(output, labels)
    value.backward()
    assert value.isfinite()
    assert share or value == 0
    assert all(leaf.grad.isfinite().all() for leaf in leaves)


@settings(max_examples=30, deadline=None)
@given(lengths=LENGTHS, seed=st.integers(0, 999))
def test_attention_losses(lengths, seed):
    output, labels = make_output(lengths, seed)
    mutual, norm, guide = [], [], []
    for video, length in enumerate(lengths):
        rgb, flow = output.extras['attn_modalities'][video, :length].T
        mutual.append(((rgb - flow) ** 2).mean())
        background = output.cas[video, :length].softmax(-1)[:, -1]
        for attn in (output.attn[video, :length, 0], rgb, flow):
            norm.append(attn.mean())
            guide.append((1 - attn - background).abs().mean())
    for kind, expected in (('Mutual', mutual), ('Norm', norm), ('Guide', guide)):
        loss = MODELS.build({'type': f'Attention{kind}Loss', 'loss_weight': 0.8})
        torch.testing.assert_close(loss(output, labels), 0.8 * sum(expected) / len(expected))


def test_mutual_attention_pulls_both_sides_half_as_much():
    first = torch.tensor([[[0.2], [0.8]]], requires_grad=True)
    second = torch.tensor([[[0.6], [0.8]]], requires_grad=True)
    attention_mutual_loss(first, second, torch.ones(1, 2, dtype=torch.bool)).backward()
    torch.testing.assert_close(first.grad, torch.tensor([[[-0.2], [0.0]]]))
    torch.testing.assert_close(second.grad, -first.grad)


def test_attention_losses_without_modalities_use_the_attention_alone():
    output, labels = make_output([5, 3])
    output.extras = {}
    norm = MODELS.build({'type': 'AttentionNormLoss'})(output, labels)
    torch.testing.assert_close(norm, attention_norm_loss(output.attn, output.mask))
    guide = MODELS.build({'type': 'AttentionGuideLoss'})(output, labels)
    torch.testing.assert_close(guide, attention_guide_loss(output.attn, output.cas, output.mask))


@pytest.mark.parametrize(
    'loss',
    [
        {'type': 'TopKMILLoss', 'topk_ratio': 3, 'suppressed': True},
        {'type': 'CoActivityLoss'},
        {'type': 'AttentionMutualLoss'},
        {'type': 'AttentionNormLoss'},
        {'type': 'AttentionGuideLoss'},
        {'type': 'EvidentialLoss'},
        {'type': 'UncertaintyGuideLoss', 'max_iters': 1},
    ],
)
def test_full_precision_under_autocast(loss):
    half, labels = make_output([9, 9], dtype=torch.bfloat16)
    full, _ = make_output([9, 9], dtype=torch.bfloat16)
    for name in ('feat', 'attn', 'cas'):
        setattr(full, name, getattr(full, name).float())
    full.extras = {name: value.float() for name, value in full.extras.items()}
    labels = torch.ones_like(labels, dtype=torch.float32)
    module = MODELS.build(loss)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = module(half, labels)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, module(full, labels))


WORKER = """
import json, sys, torch
from mmengine.dist import all_reduce, get_rank
import torch.distributed as dist
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput
world = int(sys.argv[1])
if world > 1:
    dist.init_process_group('gloo')
generator = torch.Generator().manual_seed(0)
scale = torch.ones((), dtype=torch.float64, requires_grad=True)
feat, attn, cas = (torch.randn(8, 9, n, generator=generator, dtype=torch.float64) for n in (6, 1, 5))
labels = torch.zeros(8, 4, dtype=torch.float64)
labels[[0, 1], 1] = 1; labels[[2, 3], 0] = 1; labels[[2, 3], 2] = 1; labels[[4, 5], 3] = 1; labels[[6, 7], 3] = 1
size = 8 // world
block = slice(get_rank() * size, (get_rank() + 1) * size)
output = LocalizerOutput(feat=(feat * scale)[block] + scale, attn=(attn[block] * scale).sigmoid(),
                         cas=cas[block] * scale, has_background=True, mask=torch.ones(size, 9, dtype=torch.bool))
value = MODELS.build(dict(type='CoActivityLoss', num_pairs=3, margin=0.5))(output, labels[block])
value.backward()
result = torch.stack([value.detach(), scale.grad])
all_reduce(result, op='mean')
if get_rank() == 0:
    print('RESULT', json.dumps(result.tolist()))
if world > 1:
    # Both leave together: a process whose group is gone when it ends may be aborted by the threads of gloo.
    dist.barrier()
    dist.destroy_process_group()
"""


def run_workers(repo_root, world):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        'PYTHONPATH': str(repo_root),
        'OMP_NUM_THREADS': '1',
        'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': str(port),
        'WORLD_SIZE': str(world),
    }
    workers = [
        subprocess.Popen(
            [sys.executable, '-c', WORKER, str(world)],
            env={**environment, 'RANK': str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    answers = [worker.communicate(timeout=120) for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * world, answers
    line = next(line for line in answers[0][0].splitlines() if line.startswith('RESULT'))
    return json.loads(line.removeprefix('RESULT'))


def test_two_processes_agree_with_one_big_batch(repo_root):
    one, two = run_workers(repo_root, 1), run_workers(repo_root, 2)
    assert abs(one[1]) > 1e-3
    assert two == pytest.approx(one, rel=1e-12)
