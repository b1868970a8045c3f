"""What may be shown and kept of settings: nothing that could be a secret is in it."""

import yaml

from vtsfs.contract.redaction import LEFT_OUT, redact, redacted


def test_comments_commands_secrets_and_addresses_go_and_the_rest_stays() -> None:
    text = """
# the old password was hunter2
system: {name: TAPESRV1}
notify:
  run: [/usr/local/bin/page, --token, s3cret]   # hunter3
  timeout: 30s
ems:
  hosts:
    DEV2: {password_file: /etc/vts-autocopy/dev2, password: hunter4, api_key: hunter5}
targets:
  drsite: {host: "https://me:hunter6@dr.example.com/x", key: /etc/vts-autocopy/id}
"""
    kept = redacted(text)
    assert "hunter" not in kept
    assert "s3cret" not in kept
    assert yaml.safe_load(kept) == {
        "system": {"name": "TAPESRV1"},
        "notify": {"run": ["/usr/local/bin/page", LEFT_OUT, LEFT_OUT], "timeout": "30s"},
        "ems": {
            "hosts": {
                "DEV2": {
                    "password_file": "/etc/vts-autocopy/dev2",
                    "password": LEFT_OUT,
                    "api_key": LEFT_OUT,
                }
            }
        },
        "targets": {
            "drsite": {
                "host": f"https://{LEFT_OUT}@dr.example.com/x",
                "key": "/etc/vts-autocopy/id",
            }
        },
    }
    assert list(yaml.safe_load(kept)) == ["system", "notify", "ems", "targets"]


def test_what_is_no_yaml_is_left_out_whole() -> None:
    assert "hunter" not in redacted("password: [hunter")
    assert "hunter" not in redacted("a: \t- hunter\n\x00")


def test_a_secret_that_is_not_there_is_not_made_up() -> None:
    assert redact({"password": None, "keys": ["password"]}) == {
        "password": None,
        "keys": ["password"],
    }
