"""Rules about sockets: do they hold what comes, what was lost already, and can they be had."""

from __future__ import annotations

from collections.abc import Iterator

from media.doctor.check import Verdict, advice, ok, problem, unknown
from media.doctor.demand import Demand
from media.doctor.facts import Facts, PortFacts
from media.handover.room import RESTART_S, lasts_s, needed_bytes
from media.http.access import is_loopback

LEAST_S, GOOD_S = 0.2, 1.0
"""What a buffer should hold: a busy machine gives a process its turn late, now and then by hundreds of ms."""
NEARLY_FULL = 0.8
_FLOWS_PER_CALL = 2
_GIVEN_AWAY = frozenset({"EADDRINUSE"})


def granted(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether the kernel gives the receive buffer that is asked for."""
    network, wanted = facts.network, demand.server.receive_buffer_bytes
    if not demand.udp_sockets:
        yield ok("no UDP door")
    elif network.granted_bytes is None:
        yield unknown()
    elif network.granted_bytes < wanted:
        yield problem(f"{_mib(network.granted_bytes)} of {_mib(wanted)} asked for", bytes=wanted)
    elif network.is_forced and (network.rmem_max_bytes or 0) < wanted:
        limit = _mib(network.rmem_max_bytes or 0)
        yield advice(f"{_mib(wanted)}, because this is root; other users get {limit}", bytes=wanted)
    else:
        yield ok(f"{_mib(wanted)}, as asked for")


def lasting(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """How long a receive buffer holds what the calls send."""
    if not demand.server.udp or facts.network.granted_bytes is None:
        yield ok("no UDP door") if not demand.server.udp else unknown()
        return
    seconds = lasts_s(
        2 * facts.network.granted_bytes, demand.packets_per_s
    )  # Linux grants twice what it is asked for
    good_s = RESTART_S if demand.processes.hand_over else GOOD_S
    found = f"holds {seconds:.1f} s of {demand.packets_per_s:,.0f} packets/s"
    wanted = {"mib": -(-needed_bytes(good_s, demand.packets_per_s) // (1 << 20)), "workers": demand.workers + 1}
    if seconds < LEAST_S:
        yield problem(found, **wanted)
    elif seconds < good_s:
        yield advice(found, **wanted)
    else:
        yield ok(found)


def udp_memory(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether all UDP sockets together may hold what each of them may."""
    limit, granted_bytes = facts.network.udp_memory_bytes, facts.network.granted_bytes
    if limit is None or granted_bytes is None:
        yield unknown()
        return
    each, count = 2 * granted_bytes, demand.udp_sockets
    found = f"{_mib(limit)} for {count} sockets of {_mib(each)}: Linux doubles what is asked for"
    pages = max(count, 1) * each // 4096
    values = {"low": pages, "middle": pages * 4 // 3, "high": pages * 2}
    if count and limit < each:
        yield problem(found, **values)
    elif limit < count * each:
        yield advice(found, **values)
    else:
        yield ok(found)


def kernel_drops(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Datagrams that found a full buffer, of any program, since boot."""
    lost, received = facts.network.buffer_errors, facts.network.received
    if lost is None or received is None:
        yield unknown()
    elif lost:
        yield advice(f"{lost:,} beside {received:,} received, of all programs since boot")
    else:
        yield ok(f"none of {received:,} since boot")


def socket_drops(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """The same, of the sockets that are bound at the doors now."""
    ports = [port for port in facts.network.ports if port.kind == "udp"]
    for port in ports:
        if port.drops:
            yield problem(f"{port.drops:,} datagrams", _of(port), bytes=2 * demand.server.receive_buffer_bytes)
    if not any(port.drops for port in ports):
        yield ok("none at the sockets of now")


def backlog(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Packets that no core took from the card in time."""
    dropped = facts.network.backlog_drops
    if dropped is None:
        yield unknown()
    elif dropped:
        yield advice(f"{dropped:,} packets since boot", packets=max(2 * (facts.network.backlog or 0), 5000))
    else:
        yield ok("none since boot")


def connection_tracking(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether the table of connections has place for the calls' flows."""
    used, most = facts.network.connections, facts.network.most_connections
    if used is None or most is None:
        yield ok("there is none")
        return
    needed = demand.calls * _FLOWS_PER_CALL
    found, wanted = f"{used:,} of {most:,}, and the calls want up to {needed:,}", 2 * (used + needed)
    if most - used < needed:
        yield problem(found, entries=wanted)
    elif used + needed > NEARLY_FULL * most:
        yield advice(found, entries=wanted)
    else:
        yield ok(found)


def bindable(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether each address can be had."""
    for port in facts.network.ports:
        if not port.refusal:
            yield ok("free", _of(port))
        elif port.refusal in _GIVEN_AWAY and "strep" in port.holder:
            yield advice(f"has {port.holder} already", _of(port), what=_search(port))
        elif port.refusal in _GIVEN_AWAY:
            yield problem(f"has {port.holder or 'another program'}", _of(port), what=_search(port))
        elif port.refusal == "EACCES":
            command = f"sysctl -w net.ipv4.ip_unprivileged_port_start={port.port}"
            yield problem("only root may have this port", _of(port), what=command)
        elif port.refusal == "EADDRNOTAVAIL":
            yield problem("this machine has no such address", _of(port), what="ip address")
        else:
            yield problem(f"cannot be had: {port.refusal}", _of(port), what=f"getent hosts {port.host}")


def reachable(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether a carrier reaches the doors for calls, and by wss:// where it wants that."""
    for name, _, endpoint in demand.doors():
        if name in ("http", "metrics"):
            continue
        option, subject = name.split(" ")[0] if name in ("udp", "ws") else "rtp", f"{name} {endpoint}"
        if is_loopback(endpoint.host):
            proxy = ", or a proxy for wss:// in front of it" if name == "ws" else ""
            yield advice("only this machine reaches it", subject, what=f"--{option} 0.0.0.0:{endpoint.port}{proxy}")
        elif name == "ws" and not demand.server.tls_certificate and not demand.server.public_url:
            yield advice(
                "speaks ws:// and no TLS", subject, what="--tls-certificate FILE, or --public-url of a proxy"
            )
        else:
            yield ok("others reach it", subject)


def ephemeral(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether the system may give a door's port to somebody else before the server has it."""
    span = facts.network.ephemeral
    if span is None:
        yield unknown()
        return
    at_risk = [
        port.port
        for port in facts.network.ports
        if span[0] <= port.port <= span[1]
        and not any(first <= port.port <= last for first, last in facts.network.reserved)
    ]
    if at_risk:
        ports = ",".join(map(str, sorted(at_risk)))
        reserved = [f"{first}-{last}" if first != last else str(first) for first, last in facts.network.reserved]
        found = f"{ports} of {span[0]}-{span[1]}, which go to whoever asks for any port"
        yield advice(found, ports=",".join([*reserved, ports]))  # it sets the whole list
    else:
        yield ok(f"all outside {span[0]}-{span[1]}, or reserved")


def ipv6(facts: Facts, demand: Demand) -> Iterator[Verdict]:
    """Whether IPv6 is there where it is wanted, and IPv4 with it."""
    wanted = [endpoint for _, _, endpoint in demand.doors() if ":" in endpoint.host]
    if not wanted:
        yield ok("not asked for")
    elif not facts.network.has_ipv6:
        yield problem("this machine has no IPv6 address")
    elif facts.network.is_ipv6_only and any(endpoint.host == "::" for endpoint in wanted):
        yield advice("doors on [::] take no IPv4 (net.ipv6.bindv6only)")
    else:
        yield ok("there")


def _search(port: PortFacts) -> str:
    return f"ss -{'u' if port.kind == 'udp' else 't'}lnp 'sport = :{port.port}'"


def _of(port: PortFacts) -> str:
    host = f"[{port.host}]" if ":" in port.host else port.host
    return f"{port.name} {host}:{port.port}"


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):.4g} MiB"
