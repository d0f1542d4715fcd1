"""Hosts on one machine: network namespaces on a bridge, which tests disconnect and kill.

This process is on the bridge too, and reaches all hosts; they reach each other and it, and nothing else.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from types import TracebackType

NET = f"198.18.{os.getpid() % 250}"
"""A network in the range reserved for benchmarks (RFC 2544), different for each test process."""
TAG = f"st{os.getpid() % 10_000_000}"


def missing() -> str:
    """Return why this machine cannot have such hosts; empty if it can."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        return "network namespaces need root, and `ip` of Debian's iproute2"
    tried = subprocess.run(["ip", "netns", "add", TAG], capture_output=True, text=True)
    if tried.returncode:
        return f"no network namespace can be made here: {tried.stderr.strip()}"
    ip("netns", "del", TAG)
    return ""


def ip(*words: str) -> str:
    """Run `ip WORDS`, and return its output."""
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Host:
    """One host."""

    name: str
    number: int

    @property
    def namespace(self) -> str:
        """The name of its network namespace."""
        return f"{TAG}-{self.name}"

    @property
    def cable(self) -> str:
        """The name of the bridge's end of its cable."""
        return f"{TAG}.{self.number}"

    @property
    def address(self) -> str:
        """Its address on the bridge."""
        return f"{NET}.{self.number}"

    @property
    def within(self) -> tuple[str, ...]:
        """The prefix of a command that runs it on this host; the command keeps the process id of `ip`."""
        return ("ip", "netns", "exec", self.namespace)


@dataclass
class Network:
    """A bridge, with this process at `address`, and its hosts."""

    hosts: dict[str, Host] = field(default_factory=dict)
    """The running hosts, by name."""
    address: str = f"{NET}.1"
    _last: int = 1

    def __enter__(self) -> Network:
        ip("link", "add", TAG, "type", "bridge")
        ip("addr", "add", f"{self.address}/24", "dev", TAG)
        ip("link", "set", TAG, "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for host in list(self.hosts.values()):
            self.kill(host)
        ip("link", "del", TAG)

    def join(self, name: str) -> Host:
        """Create a host that is connected to the bridge."""
        self._last += 1
        host = Host(name, self._last)
        ip("netns", "add", host.namespace)
        self.hosts[name] = host
        ip("link", "add", host.cable, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
        ip("link", "set", host.cable, "master", TAG, "up")
        for device in (("addr", "add", f"{host.address}/24", "dev", "eth0"), ("link", "set", "eth0", "up")):
            ip("-n", host.namespace, *device)
        ip("-n", host.namespace, "link", "set", "lo", "up")
        return host

    def cut(self, host: Host) -> None:
        """Disconnect a host: packets are dropped, and no connection is closed."""
        ip("link", "set", host.cable, "down")

    def heal(self, host: Host) -> None:
        """Connect a host again."""
        ip("link", "set", host.cable, "up")

    def kill(self, host: Host) -> None:
        """Kill every process of a host, and delete the host."""
        for pid in ip("netns", "pids", host.namespace).split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue  # it ended with another process
        ip("netns", "del", host.namespace)
        del self.hosts[host.name]
