"""Settings that may be shown and kept: what could be a secret in them is left out.

No key of ours holds a secret, only the names of files that do. But the argument of a command can be
a token, a comment can be an old password, and whoever keeps a copy for years must not keep those.
"""

import re
from typing import Any, Final

import yaml

#: What stands in place of something that was left out.
LEFT_OUT: Final = "(left out)"

#: Keys whose values are secrets, whoever invents them; names of files that hold some are none.
_SECRET_KEY: Final = re.compile(
    r"(password|passphrase|passwd|secret|token|credential|api_?key|private_?key)s?$", re.IGNORECASE
)

#: Keys whose values are a command: all but the program may be a secret.
_COMMAND_KEY: Final = re.compile(r"^(run|command|argv)$", re.IGNORECASE)

_TRUTHS: Final = {True: "on", False: "off"}

#: User and password in an address, as in https://user:password@host/.
_IN_ADDRESS: Final = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def redacted(text: str) -> str:
    """Return the settings file's *text* without comments and without what may be a secret.

    It is YAML of the same meaning otherwise, keys in their order. What is no YAML is left out whole:
    nobody knows what stands where in it.
    """
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return f"# {LEFT_OUT}: this is not YAML\n"
    return yaml.safe_dump(redact(document), sort_keys=False, allow_unicode=True, width=1000)


def redact(value: Any, key: str = "") -> Any:
    """Return *value*, what was read from JSON or YAML under *key*, without what may be a secret."""
    if _SECRET_KEY.search(key) and value is not None:
        return LEFT_OUT
    if isinstance(value, dict):
        # YAML 1.1 takes the key on: for true; no key of ours is a truth value.
        named = {_TRUTHS.get(name, name) if isinstance(name, bool) else name: inner
                 for name, inner in value.items()}  # fmt: skip
        return {name: redact(inner, str(name)) for name, inner in named.items()}
    if isinstance(value, list):
        if _COMMAND_KEY.match(key):
            return [redact(each) if at == 0 else LEFT_OUT for at, each in enumerate(value)]
        return [redact(each) for each in value]
    return _IN_ADDRESS.sub(LEFT_OUT, value) if isinstance(value, str) else value
