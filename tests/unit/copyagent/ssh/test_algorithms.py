"""Which algorithms are offered, which are not, and what an old server needs a word for."""

import subprocess
from pathlib import Path

import pytest
import trio

from copyagent.ssh.algorithms import (
    AlgorithmUnknown,
    Offer,
    known_names,
    processor_has_aes,
)
from copyagent.transfer.target import HostKeyRejected, LoginRefused, TargetError, TargetRefused
from tests.support.copy_rig import CopyRig
from tests.support.sshd import Sshd, public_half
from vtsfs.contract.settings_algorithms import Algorithms

OURS = Offer.of(Algorithms(), aes=True)


# ---- pure ----------------------------------------------------------------------------------------


def test_nothing_below_the_floor_is_offered() -> None:
    every = (*OURS.kex, *OURS.ciphers, *OURS.macs, *OURS.host_keys, *OURS.signatures)
    assert not [name for name in every if "sha1" in name or "cbc" in name or "md5" in name]
    assert not {"ssh-rsa", "ssh-dss", "rsa1024-sha1"} & set(every)
    assert OURS.rsa_bits == 2048


def test_everything_that_is_offered_is_known() -> None:
    for key in ("kex", "ciphers", "macs", "host_keys"):
        assert set(getattr(OURS, key)) <= set(known_names(key))
        assert getattr(OURS, key)


@pytest.mark.parametrize(
    ("aes", "first"), [(True, "aes128-gcm@openssh.com"), (False, "chacha20-poly1305@openssh.com")]
)
def test_the_fastest_cipher_depends_on_the_processor(aes: bool, first: str) -> None:
    ciphers = Offer.of(Algorithms(), aes=aes).ciphers
    assert ciphers[0] == first
    assert set(ciphers) == set(OURS.ciphers)


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("processor : 0\nflags\t\t: fpu sse2 aes avx\n", True),
        ("processor : 0\nflags\t\t: fpu sse2 avx\n", False),
        ("flags : aes\n\nflags : sse2\n", False),
        ("Features\t: fp asimd aes pmull\n", True),
        ("Features\t: fp asimd\n", False),
        ("machine : something else\n", True),
    ],
)
def test_what_the_processor_says(tmp_path: Path, text: str, has: bool) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert processor_has_aes(tmp_path / "cpuinfo") is has


def test_a_processor_that_says_nothing_has_it(tmp_path: Path) -> None:
    assert processor_has_aes(tmp_path / "none")


def test_a_list_of_the_settings_replaces_ours() -> None:
    wanted = Algorithms(kex=("diffie-hellman-group14-sha1",), host_keys=("ssh-rsa",))
    offer = Offer.of(wanted, aes=True)
    assert offer.kex == ("diffie-hellman-group14-sha1",)
    assert offer.host_keys == ("ssh-rsa",)
    assert offer.signatures == (*OURS.signatures, "ssh-rsa"), "our own key can be of any kind"
    assert offer.ciphers == OURS.ciphers


@pytest.mark.parametrize("key", ["kex", "ciphers", "macs", "host_keys"])
def test_an_unknown_name_is_told_with_the_known_ones(key: str) -> None:
    with pytest.raises(AlgorithmUnknown) as unknown:
        Offer.of(Algorithms.model_validate({key: ["rot13"]}), aes=True)
    text = str(unknown.value)
    assert text.startswith(f"targets.*.algorithms.{key}: 'rot13' is not known here; known are ")
    assert known_names(key)[0] in text


def test_the_pinned_kinds_of_host_keys_come_first() -> None:
    names = OURS.host_keys_for(["rsa-sha2-256", "ssh-rsa"], certified=False)
    assert names[0] == "rsa-sha2-256"
    assert sorted(names) == sorted(OURS.host_keys), "ssh-rsa is SHA-1, pinned or not"


def test_a_pinned_authority_puts_certificates_first() -> None:
    names = OURS.host_keys_for([], certified=True)
    assert names[0] == "ssh-ed25519-cert-v01@openssh.com"
    assert names[-1] == OURS.host_keys[-1]


# ---- a real server -------------------------------------------------------------------------------


def _key(path: Path, kind: str, bits: int) -> Path:
    _run(["ssh-keygen", "-q", "-t", kind, "-b", str(bits), "-N", "", "-f", str(path)])
    return path


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def _let_in(sshd: Sshd, key: Path) -> None:
    with (sshd.directory / "authorized_keys").open("a") as file:
        file.write(public_half(key).read_text())


def _configure(sshd: Sshd, *lines: str, host_key: Path | None = None) -> None:
    """Put *lines* first, which is where sshd looks first, and start it anew."""
    config = sshd.directory / "sshd_config"
    text = config.read_text()
    if host_key is not None:
        text = text.replace(f"HostKey {sshd.host_key}", f"HostKey {host_key}")
        kind, key = public_half(host_key).read_text().split()[:2]
        sshd.known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {kind} {key}\n")
    config.write_text("\n".join([*lines, text]))
    sshd.restart()


async def _logs_in(rig: CopyRig, **changes: object) -> None:
    with trio.fail_after(20):
        async with rig.connect(**changes) as target:
            assert await target.lstat(str(rig.vault)) is not None


async def _refused(rig: CopyRig, **changes: object) -> TargetError:
    with trio.fail_after(20), pytest.raises(TargetError) as failed:
        async with rig.connect(**changes):
            pass
    return failed.value


@pytest.mark.ssh
@pytest.mark.parametrize(
    ("kind", "bits"), [("ed25519", 256), ("ecdsa", 256), ("ecdsa", 521), ("rsa", 2048)]
)
async def test_keys_of_every_kind_log_in(rig: CopyRig, kind: str, bits: int) -> None:
    key = _key(rig.sshd.directory / "mine", kind, bits)
    _let_in(rig.sshd, key)
    await _logs_in(rig, key=str(key))


@pytest.mark.ssh
@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
async def test_host_keys_of_every_kind_are_accepted(rig: CopyRig, kind: str) -> None:
    bits = {"ecdsa": 384, "rsa": 2048}[kind]
    _configure(rig.sshd, host_key=_key(rig.sshd.directory / "other_host", kind, bits))
    await _logs_in(rig)


@pytest.mark.ssh
async def test_a_host_key_that_an_authority_vouches_for_is_accepted(rig: CopyRig) -> None:
    directory = rig.sshd.directory
    authority = _key(directory / "authority", "ed25519", 256)
    sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "target", "-h", "-n", "127.0.0.1"]
    _run([*sign, str(public_half(rig.sshd.host_key))])
    _configure(rig.sshd, f"HostCertificate {directory / 'host_key-cert.pub'}")
    kind, key = public_half(authority).read_text().split()[:2]
    line = f"[127.0.0.1]:{rig.sshd.port} {kind} {key}\n"
    rig.sshd.known_hosts.write_text(f"@cert-authority {line}")
    await _logs_in(rig)
    rig.sshd.known_hosts.write_text(line)
    assert isinstance(await _refused(rig), HostKeyRejected), "its own key it is not"


@pytest.mark.ssh
@pytest.mark.parametrize("wanted", [None, "chacha20-poly1305@openssh.com"])
async def test_the_cipher_that_is_used_is_the_first_that_is_wanted(
    rig: CopyRig, wanted: str | None
) -> None:
    _configure(rig.sshd, "LogLevel DEBUG1")
    await _logs_in(rig, **({} if wanted is None else {"algorithms": {"ciphers": [wanted]}}))
    first = wanted or Offer.of(Algorithms(), aes=processor_has_aes()).ciphers[0]
    assert f"kex: client->server cipher: {first} " in rig.sshd.log()
    assert f"kex: server->client cipher: {first} " in rig.sshd.log()


OLD = [
    ("kex", "KexAlgorithms diffie-hellman-group14-sha1", "diffie-hellman-group14-sha1"),
    ("ciphers", "Ciphers aes128-cbc", "aes128-cbc"),
]


@pytest.mark.ssh
@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")
@pytest.mark.parametrize(("key", "line", "name"), OLD)
async def test_an_old_server_is_refused_unless_the_settings_name_what_it_has(
    rig: CopyRig, key: str, line: str, name: str
) -> None:
    _configure(rig.sshd, line)
    error = await _refused(rig)
    assert isinstance(error, TargetRefused)
    assert name in str(error)
    assert f"targets.*.algorithms.{key}" in error.next_step
    await _logs_in(rig, algorithms={key: [name]})


@pytest.mark.ssh
async def test_old_macs_need_a_word_too(rig: CopyRig) -> None:
    _configure(rig.sshd, "Ciphers aes128-ctr", "MACs hmac-sha1")
    error = await _refused(rig)
    assert "targets.*.algorithms.macs" in error.next_step
    await _logs_in(rig, algorithms={"macs": ["hmac-sha1"]})


@pytest.mark.ssh
async def test_a_signature_with_sha1_needs_a_word(rig: CopyRig) -> None:
    host_key = _key(rig.sshd.directory / "rsa_host", "rsa", 2048)
    _configure(rig.sshd, "HostKeyAlgorithms ssh-rsa", host_key=host_key)
    error = await _refused(rig)
    assert "targets.*.algorithms.host_keys" in error.next_step
    await _logs_in(rig, algorithms={"host_keys": ["ssh-rsa"]})


@pytest.mark.ssh
async def test_a_short_host_key_is_refused_unless_the_settings_allow_it(rig: CopyRig) -> None:
    host_key = _key(rig.sshd.directory / "short_host", "rsa", 1024)
    _configure(rig.sshd, "RequiredRSASize 1024", host_key=host_key)
    error = await _refused(rig)
    assert "RSA host key of 1024 bits" in str(error)
    assert "targets.*.algorithms.rsa_bits" in error.next_step
    await _logs_in(rig, algorithms={"rsa_bits": 1024})


@pytest.mark.ssh
async def test_a_short_key_of_ours_is_refused_unless_the_settings_allow_it(rig: CopyRig) -> None:
    key = _key(rig.sshd.directory / "short", "rsa", 1024)
    _let_in(rig.sshd, key)
    _configure(rig.sshd, "RequiredRSASize 1024")
    error = await _refused(rig, key=str(key))
    assert isinstance(error, LoginRefused)
    assert "RSA key of 1024 bits" in str(error)
    assert "targets.*.algorithms.rsa_bits" in error.next_step
    await _logs_in(rig, key=str(key), algorithms={"rsa_bits": 1024})


@pytest.mark.ssh
async def test_a_name_that_does_not_exist_is_told_before_anything_is_sent(rig: CopyRig) -> None:
    error = await _refused(rig, algorithms={"ciphers": ["rot13"]})
    assert "targets.*.algorithms.ciphers: 'rot13' is not known here" in str(error)
    assert error.next_step == "correct the setting, or leave it out"
