"""What is said of releases, in the same words wherever it is said."""


def other_release(running: str, installed: str | None) -> str:
    """Say that *running* is not what is installed; empty where there is nothing to say.

    *installed* is None where nothing is installed, as from source.
    """
    if not running or installed is None or running == installed:
        return ""
    return f"{running} is running, {installed} is installed"
