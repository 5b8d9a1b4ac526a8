from collections.abc import Iterator

import pytest
from mmengine.logging import MessageHub


@pytest.fixture(autouse=True)
def _no_run() -> Iterator[None]:
    """Outside a Runner, whatever tests before have left in the message hub."""
    hub = MessageHub.get_current_instance()
    before = dict(hub.runtime_info)
    hub.runtime_info.clear()
    yield
    hub.runtime_info.clear()
    hub.runtime_info.update(before)
