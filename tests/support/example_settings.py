"""Settings for tests that need some, made as the programs make them: from YAML."""

from pathlib import Path

from vtsfs.contract.settings import Settings, parse_settings

EXAMPLE = """
system: {name: TAPESRV1, model: 5900-E}
paths: {state: ROOT/state, run: ROOT/run, event_log: ROOT/event.log}
vaults:
  VAULT00: {backing: ROOT/backing, mountpoint: ROOT/VAULT00}
targets:
  drsite:
    host: 127.0.0.1
    user: vts
    key: ROOT/key
    known_hosts: ROOT/known_hosts
    vaults: {VAULT00: /far/VAULT00}
autocopy:
  - {pool: /VAULT00/BILL, target: drsite, target_pool: /VAULT00/BILL}
ems: {required: false}
"""


def example_settings(root: Path, text: str = EXAMPLE) -> Settings:
    """Parse *text* with ``ROOT`` standing for *root*."""
    return parse_settings(text.replace("ROOT", str(root)), "example")
