from tests.support.copy_fixtures import bridge, rig, sshd

__all__ = ["bridge", "rig", "sshd"]
