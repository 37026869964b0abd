"""Which tests share a process when several run beside each other (`pytest --dist loadgroup`)."""

import pytest


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in a hook of the same name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those of a file, unless it says otherwise: what a file sets up once is set up once."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.name))
