import json

import pytest

from mmwtal.datasets import wtal_dataset
from mmwtal.utils.errors import UserError

PIPELINE = [{'type': 'LoadSnippetFeatures'}, {'type': 'PackWTALInputs'}]
SCORES = {'test_run': {'run': 0.9, 'jump': 0.2}, 'test_jump': {'jump': 0.7, 'run': 0.1}}


def dataset(root, content, **options):
    path = root.path / 'scores.json'
    path.write_text(json.dumps(content))
    options = {'subset': 'test', 'test_mode': True, 'external_scores': 'scores.json', **options}
    return wtal_dataset.WTALDataset(data_root=root.write(), pipeline=PIPELINE, **options)


def test_samples_bring_their_videos_scores_in_the_order_of_the_classes(data_root):
    made = dataset(data_root, SCORES)
    found = {sample['data_samples'].video_id: sample['data_samples'].video_scores.tolist() for sample in made}
    assert found == {'test_run': [0.9, 0.2], 'test_jump': [0.1, 0.7]}
    assert made.external_scores == data_root.path / 'scores.json'


def test_absolute_path(data_root, tmp_path):
    elsewhere = tmp_path / 'elsewhere.json'
    elsewhere.write_text(json.dumps(SCORES))
    assert dataset(data_root, {}, external_scores=elsewhere)[0]['data_samples'].video_scores.tolist() == [0.9, 0.2]


def test_missing_video(data_root):
    with pytest.raises(UserError, match=r'scores\.json: .*video test_jump is missing'):
        dataset(data_root, {'test_run': SCORES['test_run']})


def test_training_takes_none(data_root):
    with pytest.raises(UserError, match='external_scores are for testing'):
        dataset(data_root, SCORES, subset='training', test_mode=False)
