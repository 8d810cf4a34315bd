"""`media.doctor.kernel`: files of /proc and /sys as kernels write them, below a root of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from media.doctor.facts import UnitFacts
from media.doctor.kernel import Bound, Kernel

SNMP = """\
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
Udp: 546518647 21849870 31348692 390722797 31348692 0 0 0 0
UdpLite: InDatagrams NoPorts
UdpLite: 1 2
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
   19: 00000000:2328 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4068845 2 f2a12bae 17
   36: 0100007F:B4F9 0100007F:A8E1 01 00000000:00000000 00:00000000 00000000     0        0 4064463 2 ee8e9e5a 0
"""
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2329 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 77 1 0 100 0 0 10 0
   1: 0100007F:2329 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 78 1 0 100 0 0 10 0
"""
MOUNTS = """\
23 1 254:0 / / rw,relatime - ext4 /dev/vda rw
25 23 0:22 / /data rw - tmpfs tmpfs rw
26 25 0:23 / /data/calls\\040of\\040now rw - nfs4 host:/x rw
27 23 0:24 / /database rw - xfs /dev/vdb rw
"""


def kernel(root: Path, **files: str) -> Kernel:
    """Write files, ``__`` in a name for a slash and ``_dot_`` for a dot."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Kernel(root)


def test_what_is_missing_is_unknown(tmp_path: Path) -> None:
    bare = Kernel(tmp_path)
    assert bare.text("proc/x") is None
    assert bare.numbers("proc/x") == []
    assert bare.counted("proc/net/snmp", "Udp") == {}
    assert (bare.stolen(), bare.available_bytes(), bare.backlog_drops(), bare.quota_cores()) == (None,) * 4
    assert bare.memory_limit() == (None, 0)
    assert bare.bound("udp", 9000) == []
    assert (bare.holder({1}), bare.socket_unit(), bare.file_system(tmp_path)) == ("", None, None)


def test_counters_of_udp(tmp_path: Path) -> None:
    counted = kernel(tmp_path, proc__net__snmp=SNMP).counted("proc/net/snmp", "Udp")
    assert (counted["InDatagrams"], counted["RcvbufErrors"]) == (546_518_647, 31_348_692)


def test_drops_of_the_backlog_are_hexadecimal_one_line_a_core(tmp_path: Path) -> None:
    lines = "08fafee8 00000010 0000002b\n1af77b93 00000001 0000003f\n"
    assert kernel(tmp_path, proc__net__softnet_stat=lines).backlog_drops() == 17


def test_sockets_that_are_bound(tmp_path: Path) -> None:
    """Of TCP, those that listen: connections have the same local port."""
    given = kernel(tmp_path, proc__net__udp=UDP, proc__net__udp6=UDP.replace("4068845", "99"), proc__net__tcp=TCP)
    assert given.bound("udp", 9000) == [Bound(4_068_845, 17), Bound(99, 17)]
    assert given.bound("tcp", 9001) == [Bound(77, 0)]


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("/opt/strep/bin/python\0/opt/strep/bin/strep\0serve\0--udp\0:9000\0", "strep serve (pid 12)"),
        ("/usr/sbin/named\0-u\0bind\0", "named bind (pid 12)"),
    ],
)
def test_who_holds_a_socket(line: str, title: str, tmp_path: Path) -> None:
    given = kernel(tmp_path, proc__12__cmdline=line)
    (tmp_path / "proc/12/fd").mkdir()
    (tmp_path / "proc/12/fd/3").symlink_to("socket:[77]")
    assert given.holder({76, 77}) == title
    assert given.holder({76}) == ""


def test_stolen_time(tmp_path: Path) -> None:
    assert kernel(tmp_path, proc__stat="cpu  10 0 10 70 0 0 0 10 0 0\ncpu0 1").stolen() == 0.1


class TestControlGroups:
    def test_version_2_the_tightest_of_all_above(self, tmp_path: Path) -> None:
        given = kernel(
            tmp_path,
            proc__self__cgroup="0::/a/b\n",
            sys__fs__cgroup__cgroup_dot_controllers="cpu memory",
            sys__fs__cgroup__a__cpu_dot_max="150000 100000\n",
            sys__fs__cgroup__a__b__cpu_dot_max="max 100000\n",
            sys__fs__cgroup__a__b__cpu_dot_stat="usage_usec 5\nnr_throttled 3\n",
            sys__fs__cgroup__a__memory_dot_max="1000",
            sys__fs__cgroup__a__memory_dot_current="900",
            sys__fs__cgroup__a__b__memory_dot_max="500",
            sys__fs__cgroup__a__b__memory_dot_current="100",
        )
        assert (given.quota_cores(), given.throttled(), given.memory_limit()) == (1.5, 3, (1000, 900))

    def test_version_1(self, tmp_path: Path) -> None:
        given = kernel(
            tmp_path,
            proc__self__cgroup="4:memory:/m\n1:cpu,cpuacct:/\n0::/\n",
            sys__fs__cgroup__cpu__cpu_dot_cfs_quota_us="50000",
            sys__fs__cgroup__cpu__cpu_dot_cfs_period_us="100000",
            sys__fs__cgroup__memory__memory_dot_limit_in_bytes="9223372036854771712",
            sys__fs__cgroup__memory__m__memory_dot_limit_in_bytes="4096",
            sys__fs__cgroup__memory__m__memory_dot_usage_in_bytes="96",
        )
        assert (given.quota_cores(), given.memory_limit()) == (0.5, (4096, 96))

    def test_no_quota(self, tmp_path: Path) -> None:
        """Version 1 says -1."""
        given = kernel(tmp_path, proc__self__cgroup="1:cpu:/\n", sys__fs__cgroup__cpu__cpu_dot_cfs_quota_us="-1")
        assert given.quota_cores() is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/x", "ext4"), ("/data/x", "tmpfs"), ("/data/calls of now/x", "nfs4"), ("/database/x", "xfs")],
)
def test_file_system(path: str, kind: str, tmp_path: Path) -> None:
    assert kernel(tmp_path, proc__self__mountinfo=MOUNTS).file_system(Path(path)) == kind


def test_the_socket_unit_that_is_shipped(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "deploy/systemd/strep.socket"
    given = kernel(tmp_path, etc__systemd__system__strep_dot_socket=shipped.read_text())
    path = "/etc/systemd/system/strep.socket"
    assert given.socket_unit() == UnitFacts(path, ("0.0.0.0:9000",), ("127.0.0.1:9001",), 16 << 20)
