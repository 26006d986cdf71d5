"""The page of a module's fixture `file` in a real Chromium."""

import pytest

from tools import chromium


@pytest.fixture
def page(engine, file):
    """The page, opened with the network off; at the end it must have asked for nothing outside."""
    with chromium.open_exported(engine, file) as page:
        yield page
        assert page.watch.complaints == []
        assert page.watch.foreign(["file:", "data:", "blob:"]) == []
