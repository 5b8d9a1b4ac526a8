"""Reading annotation JSON: whatever stands in a file, the outcome is entries that load, or faults in words."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.conversion.annotation_json import (
    LAYOUTS,
    SourceAnnotations,
    assign_subsets,
    find_classes,
    read_annotation_json,
)
from mmwtal.conversion.audit import ConversionLog
from mmwtal.conversion.data_root import DataRootWriter
from mmwtal.formats.annotations import read_annotations
from mmwtal.formats.findings import faults
from mmwtal.utils.errors import UserError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
TIMES = st.floats(0, 50) | st.sampled_from(['1.5', 'x', '1e999', 10**400, -1, None])
INSTANCES = st.fixed_dictionaries(
    {
        'label': st.sampled_from(['run', 'Ambiguous', '\ud800', '']) | VALUES,
        'segment': st.lists(TIMES, max_size=3) | VALUES,
    },
    optional={'label_id': VALUES},
)
ENTRIES = st.fixed_dictionaries(
    {'subset': st.sampled_from(['training', 'Validation', 'testing', 'none'])},
    optional={'duration': SCALARS, 'duration_second': SCALARS, 'annotations': st.lists(INSTANCES, max_size=3) | VALUES},
)
FILES = st.fixed_dictionaries(
    {'database': st.dictionaries(st.text(max_size=4), ENTRIES | VALUES, max_size=3) | VALUES},
    optional={
        'taxonomy': st.lists(st.dictionaries(st.sampled_from(['nodeName', 'nodeId', 'parentId']), VALUES)) | VALUES
    },
)


# What is nearly always sound, so that the way to the end is tried too.
SOUND = st.fixed_dictionaries(
    {
        'database': st.dictionaries(
            st.text('ab-_0', min_size=1, max_size=3),
            st.fixed_dictionaries(
                {'subset': st.sampled_from(['training', 'Validation', 'testing'])},
                optional={
                    'duration': st.floats(1, 50) | st.sampled_from(['3.5', None]),
                    'annotations': st.lists(
                        st.fixed_dictionaries(
                            {
                                'label': st.sampled_from(['run', 'jump', 'Ambiguous', 'caf\xe9']),
                                'segment': st.tuples(st.floats(0, 50), st.floats(0, 50)).map(sorted),
                            },
                            optional={'label_id': SCALARS},
                        )
                    ),
                },
            ),
            min_size=1,
        )
    }
)


@settings(max_examples=150, deadline=None)
@given(content=SOUND | FILES | VALUES, layout=st.sampled_from(sorted(LAYOUTS)))
def test_any_content_gives_entries_that_load_or_faults(
    tmp_path_factory: pytest.TempPathFactory, content: object, layout: str
) -> None:
    folder = tmp_path_factory.mktemp('any')
    path = folder / 'a.json'
    wrapped = LAYOUTS[layout].wrapped
    path.write_text(
        json.dumps(content if wrapped or not isinstance(content, dict) else content.get('database', content))
    )
    source, problems = SourceAnnotations(), []
    try:
        read_annotation_json(
            path, layout=LAYOUTS[layout], subset=None if wrapped else 'test', into=source, problems=problems
        )
    except UserError:
        return
    assign_subsets(source, LAYOUTS[layout], {}, problems)
    classes, _ = find_classes(source, None, problems)
    if problems:
        assert all(isinstance(problem, str) for problem in problems)
        return
    writer = DataRootWriter(folder / 'root', log=ConversionLog(converter='x', sources={}), with_features=False)
    writer.finish(database=source.database, classes=classes)
    videos = read_annotations(folder / 'root' / 'annotations.json').videos.values()
    # A segment may start after its video has ended; everything else is sound.
    assert {finding.kind.name for video in videos for finding in faults(video.findings)} <= {'OUTSIDE'}


def test_label_ids_order_the_classes_only_if_each_has_its_own(tmp_path: Path) -> None:
    def order(*numbers: object) -> list[str]:
        instances = [
            {'label': label, 'segment': [0, 1], 'label_id': number}
            for label, number in zip(['a', 'b', 'c', 'a'], numbers, strict=False)
        ]
        (tmp_path / 'a.json').write_text(json.dumps({'database': {'v': {'subset': 'test', 'annotations': instances}}}))
        source, problems = SourceAnnotations(), []
        read_annotation_json(
            tmp_path / 'a.json', layout=LAYOUTS['actionformer'], subset=None, into=source, problems=problems
        )
        assert problems == []
        return find_classes(source, None, problems)[0]

    assert order(11, 2, 5) == ['b', 'c', 'a']
    assert order(2, 1, 0, 3) == ['a', 'b', 'c'], 'a has two numbers'
    assert order(1, 1, 0) == ['a', 'b', 'c'], 'two classes have one number'
    assert order('2', '1', '0') == ['a', 'b', 'c'], 'a text is no number'
    assert order(2, None, 0) == ['a', 'b', 'c']
