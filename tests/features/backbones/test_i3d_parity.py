"""I3D has the tensors of piergiaj/pytorch-i3d and gives its numbers, on random weights."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from mmwtal.features.backbones.i3d import InceptionI3D

from .i3d_recipe import recipe_clips, recipe_weights, shapes, write_published_file

GOLDEN = json.loads((Path(__file__).parents[2] / 'golden' / 'i3d.json').read_text())
MODALITIES = GOLDEN['modalities']
CASES = [(modality, case) for modality, golden in MODALITIES.items() for case in golden['outputs']]


@pytest.fixture(scope='module')
def backbones(tmp_path_factory):
    """Backbones with the recipe's weights, through files of the published form."""
    folder = tmp_path_factory.mktemp('i3d')
    built = {}
    for modality in MODALITIES:
        write_published_file(folder / f'{modality}.pt', recipe_weights(shapes(modality), GOLDEN['seed']))
        built[modality] = InceptionI3D(modality=modality, weights=folder / f'{modality}.pt')
    return built


@pytest.mark.parametrize('modality', MODALITIES)
def test_names_and_shapes_are_those_of_the_published_code(modality):
    golden, found = MODALITIES[modality], shapes(modality)
    assert {name: list(found[name]) for name in golden['some']} == golden['some']
    listing = '\n'.join(sorted(f'{name} {list(shape)}' for name, shape in found.items()))
    assert (len(found), hashlib.sha256(listing.encode()).hexdigest()) == (golden['tensors'], golden['digest'])


@pytest.mark.parametrize(('modality', 'case'), CASES, ids=[f'{m}-{"x".join(map(str, c["shape"]))}' for m, c in CASES])
def test_outputs_are_those_of_the_published_code(backbones, modality, case):
    with torch.inference_mode():
        features = backbones[modality](recipe_clips(case['shape'], case['seed']))
    assert features.shape == (case['shape'][0], 1024)
    torch.testing.assert_close(features[0, :6], torch.tensor(case['first']), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(features.flatten()[::97], torch.tensor(case['every_97th']), rtol=1e-4, atol=1e-5)
    assert features.double().sum().item() == pytest.approx(case['sum'], rel=1e-5)
    assert features.double().norm().item() == pytest.approx(case['norm'], rel=1e-5)
