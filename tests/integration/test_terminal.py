"""What a run prints before its first iteration, and what only its log file holds."""

from pathlib import Path

from .conftest import CONFIG, SHORT, Tool


def test_the_log_file_alone_holds_environment_config_and_hooks(
    run_tool: Tool, small_data: Path, tmp_path: Path
) -> None:
    options = ['--work-dir', tmp_path, '--data-root', small_data, '--cfg-options', *SHORT, 'train_cfg.max_iters=4']
    done = run_tool('train.py', CONFIG, *options)
    printed = done.stdout + done.stderr
    [file] = tmp_path.glob('*/*.log')
    log = file.read_text()
    for text in ('System environment:', 'Config:\n', 'Hooks will be executed'):
        assert text in log
        assert text not in printed
    assert f'environment, config and hooks are in {file}' in printed
    for text in ('loss_mil', 'Finished. Checkpoint: '):
        assert text in log
        assert text in printed
    # Of the whole output, a terminal shows the first iteration.
    assert 'Iter(train)' in '\n'.join(done.stdout.splitlines()[:24])
