from tests.support.copy_fixtures import bridge, rig

__all__ = ["bridge", "rig"]
