"""The way to a target, step by step: its name, its port, its host key, our key."""

from dataclasses import dataclass

import trio

from copyagent.ssh.algorithms import AlgorithmUnknown, Offer
from copyagent.ssh.dialling import SshFailure, open_socket
from copyagent.ssh.host_keys import fetch_host_key, pinned_for
from copyagent.ssh.key_pairs import KeyUnusable, public_half
from copyagent.transfer.findings import Findings
from vtsfs.contract.settings import Target


@dataclass(frozen=True, slots=True)
class Approach:
    """Examines the way to target *name*; `run` tells whether a log-in is worth trying."""

    name: str
    target: Target
    findings: Findings

    async def run(self) -> bool:
        """Make every step that can be made; nothing is logged in to."""
        algorithms = self._algorithms()
        key = await trio.to_thread.run_sync(self._own_key)
        if not (await self._address() and await self._port() and algorithms):
            return False
        return await self._host_key() and key

    def _algorithms(self) -> bool:
        try:
            Offer.of(self.target.algorithms, aes=True)
        except AlgorithmUnknown as error:
            self.findings.fail("algorithms", str(error), "correct the setting, or leave it out")
            return False
        return True

    def _own_key(self) -> bool:
        try:
            key = public_half(self.target.key)
        except KeyUnusable as error:
            self.findings.fail("key", str(error), f"copyagent keys init {self.name} makes one")
            return False
        self.findings.ok("key", f"{self.target.key}: {key.kind} {key.fingerprint}")
        return True

    async def _address(self) -> bool:
        host = self.target.host
        found = None
        with trio.move_on_after(self.target.connect_timeout):
            try:
                found = await trio.socket.getaddrinfo(host, self.target.port, type=_STREAM)
            except OSError as error:
                text = error.strerror or str(error)
                self.findings.fail("name", f"{host}: {text}", "check targets.*.host and the DNS")
                return False
        if found is None:
            self.findings.fail("name", f"{host}: no answer in time", "check the DNS here")
            return False
        addresses = dict.fromkeys(str(one[4][0]) for one in found)
        self.findings.ok("name", f"{host} is {', '.join(addresses)}")
        return True

    async def _port(self) -> bool:
        host, port = self.target.host, self.target.port
        with trio.move_on_after(self.target.connect_timeout):
            try:
                link = await open_socket(host, port)
            except SshFailure as error:
                self.findings.fail("port", str(error), _NO_PORT)
                return False
            link.close()
            self.findings.ok("port", f"{port} is open")
            return True
        late = f"{host}:{port} did not answer within {self.target.connect_timeout:g} s"
        self.findings.fail("port", late, _NO_PORT)
        return False

    async def _host_key(self) -> bool:
        with trio.move_on_after(self.target.connect_timeout):
            return await self._compare_host_key()
        self.findings.fail("host key", "no answer in time", "look whether an sshd answers there")
        return False

    async def _compare_host_key(self) -> bool:
        findings, path = self.findings, self.target.known_hosts
        try:
            shown = await fetch_host_key(self.target)
        except SshFailure as error:
            findings.fail("host key", str(error), error.next_step or "see the sshd log there")
            return False
        try:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            pinned = pinned_for(text, self.target)
        except (OSError, ValueError) as error:
            findings.fail("host key", f"{path}: {error}", "mend the file, or move it away")
            return False
        told = f"{shown.kind} {shown.fingerprint}"
        if any(one.text == shown.text for one in pinned.keys):
            findings.ok("host key", f"{told} is pinned")
            return True
        if pinned.certified:
            findings.ok("host key", f"{told}; an authority is pinned, the log-in shows its word")
            return True
        if any(one.kind == shown.kind for one in pinned.keys):
            findings.fail(
                "host key",
                f"{told} is not the one in {path}",
                "find out why before anything else; if it is right, replace the line in that file",
            )
            return False
        if pinned.keys:
            # Another kind is pinned: the log-in asks for that one.
            return True
        findings.fail(
            "host key", f"{told} is not pinned", f"copyagent keys init {self.name} pins it"
        )
        return False


_STREAM = trio.socket.SOCK_STREAM
_NO_PORT = "check that sshd runs there, targets.*.port, and the firewalls in between"
