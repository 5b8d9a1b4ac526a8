import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        '--model-config',
        action='append',
        default=[],
        metavar='CONFIG',
        help='test_model_contract.py: the config whose model is tested, instead of those that are shipped; repeatable',
    )
