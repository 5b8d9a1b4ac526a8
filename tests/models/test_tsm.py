"""The base model of TSM + VLC: what its classifier is made of, and that a test needs no text."""

from typing import Any

import pytest
import torch
from torch import nn

from mmwtal.models.heads.text_made_head import ClassWeights
from mmwtal.registry import MODELS
from mmwtal.structures import Timebase, WTALDataSample
from mmwtal.utils.errors import UserError

C, WIDTH, TEXT = 3, 12, 4
LABELS = torch.tensor([[1, 0, 0], [1, 1, 0]]).float()


class Texts:
    """The class words of a made-up guidance without losses."""

    width, vocabulary_size = TEXT, 2

    def __init__(self, classes: int = C, width: int = TEXT) -> None:
        self.table = torch.randn(classes, 5, width, generator=torch.Generator().manual_seed(1))

    def class_words(self, number: int) -> torch.Tensor:
        return self.table[:, :number]


class TextsOnly(nn.Module):
    """A guidance that only brings texts along."""

    def __init__(self, texts: Texts) -> None:
        super().__init__()
        self.texts = texts
        self.own = nn.Parameter(torch.zeros(1))

    def forward(self, inputs: Any, output: Any, data_samples: Any) -> dict[str, torch.Tensor]:
        return {'loss_own': self.own.sum()}


def build(seed: int = 0, guidance: nn.Module | None = None, backbone: Any = None, **head: Any) -> nn.Module:
    torch.manual_seed(seed)
    losses = {
        'loss_mil': {'type': 'TopKMILLoss', 'topk_ratio': 7},
        'loss_autoencoder': {'type': 'AutoencoderLoss', 'loss_weight': 1.5},
    }
    return MODELS.build(
        {
            'type': 'WTALLocalizer',
            'num_classes': C,
            'in_channels': WIDTH,
            'backbone': {'type': 'TSMBackbone', 'code_channels': 4, 'attention_channels': 4, **(backbone or {})},
            'head': {'type': 'TextMadeHead', 'text_channels': TEXT, 'num_prompts': 2, 'losses': losses, **head},
            'decoder': {'type': 'MultiThresholdDecoder'},
            'guidance': guidance,
        }
    ).eval()


def inputs() -> torch.Tensor:
    return torch.randn(2, 30, WIDTH, generator=torch.Generator().manual_seed(2))


def samples() -> list[WTALDataSample]:
    timebase = Timebase(fps=25, stride=16, window=16, duration=19.2)
    return [WTALDataSample(video_id=str(n), labels=row, timebase=timebase) for n, row in enumerate(LABELS)]


def predicted(model: nn.Module) -> list[torch.Tensor]:
    with torch.no_grad():
        found = model(inputs(), samples(), mode='predict')
    return [value for sample in found for value in sample.pred_instances.values()]


def test_the_words_come_from_the_guidance_and_go_on_in_the_checkpoint() -> None:
    guided = build(guidance=TextsOnly(Texts()))
    assert torch.equal(guided.head.class_weights.words, Texts().table[:, :2])
    kept = {name: value for name, value in guided.state_dict().items() if not name.startswith('guidance.')}
    plain = build(seed=1)
    assert plain.guidance is None
    plain.load_state_dict(kept, strict=True)
    expected = predicted(guided)
    assert sum(len(value) for value in expected) > 0
    assert all(torch.equal(*pair) for pair in zip(predicted(plain), expected, strict=True))


def test_the_class_words_decide_the_class_scores() -> None:
    model = build(guidance=TextsOnly(Texts()))
    with torch.no_grad():
        expected = model(inputs()).cas
        model.head.class_weights.words[1] += 1
        changed = (model(inputs()).cas != expected).flatten(0, 1).any(dim=0)
    assert changed.tolist() == [False, True, False, False]


def test_the_base_starts_and_draws_as_without_guidance() -> None:
    plain, guided = build(), build(guidance=TextsOnly(Texts()))
    for name, value in plain.state_dict().items():
        assert torch.equal(guided.state_dict()[name], value) or name == 'head.class_weights.words'


def test_a_guidance_with_other_texts_is_refused() -> None:
    for texts in (Texts(width=6), Texts(classes=2)):
        found = rf'found those of width {texts.table.shape[2]} for {len(texts.table)}; set head\.text_channels'
        with pytest.raises(UserError, match=rf'width 4 for 3 classes, {found}'):
            build(guidance=TextsOnly(texts))


@pytest.mark.parametrize('count', ['num_words', 'num_prompts'])
def test_no_word_or_no_prompt_is_refused(count: str) -> None:
    with pytest.raises(UserError, match=rf'at least one word and one prompt.*{count}=0'):
        build(**{count: 0})


def test_reading_one_token_is_reading_all_and_keeping_the_first() -> None:
    torch.manual_seed(0)
    sizes = {'num_classes': C, 'channels': 8, 'text_channels': TEXT, 'num_words': 2, 'num_prompts': 2, 'num_heads': 4}
    weights = ClassWeights(**sizes, dropout=0.0, hidden_dropout=0.0, branch_drop=0.0)
    seen: list[torch.Tensor] = []
    weights.attention.register_forward_hook(lambda module, given, out: seen.extend([given[1], out[0]]))
    weights()
    tokens, attended = seen
    full, _ = weights.attention(tokens, tokens, tokens, need_weights=False)
    torch.testing.assert_close(full[:, :1], attended)


def test_some_classes_drop_their_residual_branches_while_training() -> None:
    torch.manual_seed(0)
    sizes = {'num_classes': 40, 'channels': 8, 'text_channels': TEXT, 'num_words': 2, 'num_prompts': 2, 'num_heads': 4}
    weights = ClassWeights(**sizes, dropout=0.0, hidden_dropout=0.0, branch_drop=0.5)
    with torch.no_grad():
        for residual in (weights.attention_residual, weights.feed_forward_residual):
            residual.scale.fill_(1.0)
        plain, dropped = weights.eval()(), weights.train()()
        weights.attention_residual.scale.zero_()
        weights.feed_forward_residual.scale.zero_()
        bare = weights.eval()()
    without = (dropped == bare).all(dim=1).float().mean()
    assert 0.1 < without < 0.45  # a quarter loses both
    assert not (plain == bare).all(dim=1).any()


@pytest.mark.parametrize('vlc_compat', [False, True])
def test_dropout_hits_the_logits_of_the_attention_only_with_the_slip(vlc_compat: bool) -> None:
    model = build(backbone={'vlc_compat': vlc_compat}).train()
    attn = torch.cat([model(inputs()).extras['attn_modalities'] for _ in range(10)])
    assert (attn == 0.5).float().mean().item() == pytest.approx(0.5 if vlc_compat else 0.0, abs=0.05)


def test_the_autoencoders_learn_to_rebuild_one_modality_from_the_other() -> None:
    model = build()
    given = torch.rand(2, 30, WIDTH // 2, generator=torch.Generator().manual_seed(3)).repeat(1, 1, 2)
    optimizer = torch.optim.Adam(model.backbone.autoencoders.parameters(), lr=3e-2)
    found = []
    for _ in range(25):
        term = model(given, samples(), mode='loss')['loss_autoencoder']
        optimizer.zero_grad()
        term.backward()
        optimizer.step()
        found.append(term.item())
    assert found[-1] < found[0] / 2


def test_the_loss_of_the_autoencoders_needs_their_backbone() -> None:
    model = build()
    model.backbone = MODELS.build({'type': 'CO2NetBackbone', 'in_channels': WIDTH})
    with pytest.raises(UserError, match='which TSMBackbone gives, this backbone does not'):
        model(inputs(), samples(), mode='loss')
