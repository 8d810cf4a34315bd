"""What of the carrier's webhooks is believed, and what becomes of it; signed by pynacl and openssl as well."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path
from shutil import which
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.carrier.announcing import STARTED, STOPPED, data_of
from media.webhooks import incoming as module
from media.webhooks.ended import EndedLegs
from media.webhooks.envelope import body_of
from media.webhooks.incoming import HANGUP, OUTCOMES, Incoming, Judgement
from media.webhooks.signing import Signer, Verifier, make_key, parse_public_key
from strep.clock import NS_PER_SECOND
from strep.errors import ConfigurationError

NOW_S = 1_780_000_000
NOW_NS = NOW_S * NS_PER_SECOND
LEG, OTHER = UUID(int=1), UUID(int=2)
PEERS = Path(__file__).resolve().parents[2] / ".peers"
STOP_NS = NOW_NS + 60 * NS_PER_SECOND


def body(event_type: str = STARTED, leg: UUID = LEG, occurred_ns: int = NOW_NS) -> bytes:
    return body_of(data_of(event_type, leg, occurred_ns), 1, "https://media.example.com/v1/webhooks/telnyx")


def both(headers: dict[str, str]) -> tuple[str, str]:
    """Return the values of the two headers."""
    return headers["telnyx-signature-ed25519"], headers["telnyx-timestamp"]


class Desk:
    """A receiver, and who signs for it."""

    def __init__(self, folder: Path) -> None:
        self.signer = make_key(folder / "carrier.pem")
        self.incoming = Incoming(Verifier([self.signer.public_key]))

    def post(
        self, sent: bytes, at_s: int = NOW_S, now_ns: int = NOW_NS, headers: dict[str, str] | None = None
    ) -> Judgement:
        """Post what was signed at `at_s`, act on it, and return the judgement."""
        names = self.signer.headers(sent, at_s) | (headers or {})
        judged = self.incoming.judge(names["telnyx-signature-ed25519"], names["telnyx-timestamp"], sent, now_ns)
        if judged.notice is not None:
            self.incoming.done(judged.notice, now_ns)
        return judged


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


class TestSignatures:
    def test_a_good_one(self, desk: Desk) -> None:
        judged = desk.post(body())
        assert judged.notice is not None
        assert (judged.status, judged.outcome, judged.notice.leg) == (200, "announced", LEG)

    @pytest.mark.parametrize("seconds", [-300, 300])
    def test_a_clock_that_is_five_minutes_off(self, desk: Desk, seconds: int) -> None:
        assert desk.post(body(), NOW_S + seconds).outcome == "announced"
        off = seconds + (1 if seconds > 0 else -1)
        assert (judged := desk.post(body(leg=OTHER), NOW_S + off)).outcome == "stale"
        assert judged.status == 403

    @pytest.mark.parametrize(
        ("headers", "status", "outcome"),
        [
            ({"telnyx-signature-ed25519": ""}, 401, "unsigned"),
            ({"telnyx-timestamp": ""}, 401, "unsigned"),
            ({"telnyx-timestamp": "now"}, 403, "bad_timestamp"),
            ({"telnyx-timestamp": "９" * 10}, 403, "bad_timestamp"),
            ({"telnyx-timestamp": "9" * 5000}, 403, "bad_timestamp"),
            ({"telnyx-timestamp": f"-{NOW_S}"}, 403, "bad_timestamp"),
            ({"telnyx-timestamp": str(NOW_S + 1)}, 403, "bad_signature"),
            ({"telnyx-timestamp": f"0{NOW_S}"}, 403, "bad_signature"),
            ({"telnyx-signature-ed25519": "?"}, 403, "bad_signature"),
            ({"telnyx-signature-ed25519": "ü" * 88}, 403, "bad_signature"),
            ({"telnyx-signature-ed25519": base64.b64encode(bytes(64)).decode()}, 403, "bad_signature"),
            ({"telnyx-signature-ed25519": base64.b64encode(bytes(63)).decode()}, 403, "bad_signature"),
        ],
    )
    def test_others(self, desk: Desk, headers: dict[str, str], status: int, outcome: str) -> None:
        judged = desk.post(body(), headers=headers)
        assert (judged.status, judged.outcome, judged.notice) == (status, outcome, None)
        assert judged.message
        assert desk.incoming.snapshot() == {outcome: 1}

    def test_of_another_body_or_key(self, desk: Desk, tmp_path: Path) -> None:
        headers = desk.signer.headers(body(), NOW_S)
        assert desk.post(body() + b" ", headers=headers).outcome == "bad_signature"
        other = make_key(tmp_path / "other.pem")
        assert desk.post(body(), headers=other.headers(body(), NOW_S)).outcome == "bad_signature"

    def test_of_any_of_several_keys(self, desk: Desk, tmp_path: Path) -> None:
        other = make_key(tmp_path / "other.pem")
        verifier = Verifier([desk.signer.public_key, other.public_key])
        for signer in (desk.signer, other):
            headers = signer.headers(b"{}", NOW_S)
            assert verifier.denial(headers["telnyx-signature-ed25519"], str(NOW_S), b"{}", NOW_S) == ""

    @pytest.mark.parametrize("text", ["", "secret", base64.b64encode(bytes(31)).decode(), "ü"])
    def test_keys_that_are_none(self, text: str) -> None:
        with pytest.raises(ValueError, match="32 bytes in base64"):
            parse_public_key(text)
        with pytest.raises(ConfigurationError, match="telnyx public key"):
            Verifier([text])


@pytest.mark.peer
class TestCodeOfOthers:
    def test_the_telnyx_package_takes_what_the_simulated_carrier_posts(self, tmp_path: Path) -> None:
        if str(PEERS) not in sys.path:
            sys.path.append(str(PEERS))
        telnyx = pytest.importorskip("telnyx")
        from strep.clock import SystemClock

        signer, now_ns = make_key(tmp_path / "key.pem"), SystemClock().wall_ns()  # it refuses what is old
        client = telnyx.Telnyx(api_key="none", public_key=signer.public_key)
        for event_type, model in ((STARTED, "CallForkStartedWebhookEvent"), (STOPPED, "CallForkStoppedWebhookEvent")):
            sent = body(event_type, occurred_ns=now_ns)
            headers = signer.headers(sent, now_ns // NS_PER_SECOND)
            event = client.webhooks.unwrap(sent.decode(), headers=headers)
            assert (event.data.event_type, event.data.payload.call_leg_id) == (event_type, str(LEG))
            getattr(telnyx.types, model).model_validate_json(sent)

    def test_what_pynacl_signs_is_taken(self) -> None:
        """The library that Telnyx's own package verifies with."""
        if str(PEERS) not in sys.path:
            sys.path.append(str(PEERS))
        signing = pytest.importorskip("nacl.signing")
        key, sent = signing.SigningKey.generate(), body()
        signature = base64.b64encode(key.sign(f"{NOW_S}|".encode() + sent).signature).decode()
        taken = Incoming(Verifier([base64.b64encode(bytes(key.verify_key)).decode()]))
        assert taken.judge(signature, str(NOW_S), sent, NOW_NS).outcome == "announced"
        assert taken.judge(signature, str(NOW_S), sent + b" ", NOW_NS).outcome == "bad_signature"

    @pytest.mark.skipif(which("openssl") is None, reason="no openssl here: make peers")
    def test_what_openssl_signs_is_taken(self, tmp_path: Path) -> None:
        def run(command: str) -> bytes:
            return subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=True).stdout

        run("openssl genpkey -algorithm ed25519 -out theirs.pem")
        public_key = run("openssl pkey -in theirs.pem -pubout -outform DER")[-32:]
        (tmp_path / "signed").write_bytes(f"{NOW_S}|".encode() + body())
        signature = base64.b64encode(run("openssl pkeyutl -sign -rawin -inkey theirs.pem -in signed")).decode()
        taken = Incoming(Verifier([base64.b64encode(public_key).decode()]))
        assert taken.judge(signature, str(NOW_S), body(), NOW_NS).outcome == "announced"


class TestEvents:
    @pytest.mark.parametrize("event_type", [STOPPED, HANGUP])
    def test_the_end_of_a_fork_or_a_call_takes_the_leg_back(self, desk: Desk, event_type: str) -> None:
        judged = desk.post(body(event_type))
        assert judged.notice is not None
        assert (judged.outcome, judged.notice.is_announced) == ("withdrawn", False)

    @pytest.mark.parametrize("event_type", ["call.answered", "streaming.started", "x" * 1000, ""])
    def test_other_kinds_are_answered_and_counted(self, desk: Desk, event_type: str) -> None:
        judged = desk.post(body(event_type))
        assert (judged.status, judged.outcome, judged.notice) == (200, "other", None)

    def test_the_same_again_does_nothing(self, desk: Desk) -> None:
        assert [desk.post(body()).outcome for _ in range(3)] == ["announced", "repeated", "repeated"]

    def test_one_that_was_not_acted_on_is_taken_when_it_comes_again(self, desk: Desk) -> None:
        headers = desk.signer.headers(body(), NOW_S)
        for _ in range(2):
            judged = desk.incoming.judge(*both(headers), body(), NOW_NS)
            assert judged.outcome == "announced"

    def test_a_start_that_comes_behind_its_end_announces_nothing(self, desk: Desk) -> None:
        """Out of order, or played back by who has seen it, which is possible for five minutes."""
        assert desk.post(body(STOPPED, occurred_ns=STOP_NS)).outcome == "withdrawn"
        assert desk.post(body(STARTED)).outcome == "outdated"
        assert desk.post(body(STARTED, leg=OTHER)).outcome == "announced"
        assert desk.post(body(STARTED, occurred_ns=STOP_NS)).outcome == "outdated"  # of the same time, the end counts
        assert desk.post(body(STARTED, occurred_ns=STOP_NS + 1000)).outcome == "announced"
        assert desk.post(body(STOPPED, occurred_ns=STOP_NS + 1000)).outcome == "withdrawn"

    def test_nor_does_it_after_a_restart(self, desk: Desk, tmp_path: Path) -> None:
        def restart(now_s: int = NOW_S) -> None:
            ended = EndedLegs(tmp_path / "ended", now_s)
            desk.incoming = Incoming(Verifier([desk.signer.public_key]), ended)

        restart()
        assert desk.post(body(STARTED)).outcome == "announced"
        assert desk.post(body(STOPPED, occurred_ns=NOW_NS)).outcome == "withdrawn"
        restart()
        assert desk.post(body(STARTED)).outcome == "outdated"
        assert desk.post(body(STARTED, leg=OTHER)).outcome == "announced"
        assert desk.post(body(STARTED, occurred_ns=STOP_NS)).outcome == "announced"
        restart(NOW_S + 601)
        assert list((tmp_path / "ended").iterdir()) == []

    def test_what_outlives_the_process_is_bounded(self, tmp_path: Path) -> None:
        ended = EndedLegs(tmp_path, NOW_S)
        for number in range(50):
            ended.add(UUID(int=number), NOW_NS, NOW_S + 100 * number)
        assert {path.name for path in tmp_path.iterdir()} == {str(UUID(int=number)) for number in range(43, 50)}

    def test_what_is_no_entry_of_ours_costs_nothing(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        for number, text in enumerate(("rubbish", "1 2 3", f"{NOW_S + 5} x")):
            (tmp_path / str(UUID(int=number))).symlink_to(text)
        ended = EndedLegs(tmp_path, NOW_S)
        assert [ended.find(UUID(int=number)) for number in range(4)] == [None] * 4
        (tmp_path / "file").touch()
        ended._entries._directory = tmp_path / "file"
        ended.add(LEG, NOW_NS, NOW_S)
        assert ended.find(LEG) is None
        assert "forgotten with this process" in caplog.text

    def test_a_leg_that_is_forked_again(self, desk: Desk) -> None:
        times = [NOW_NS + second * NS_PER_SECOND for second in range(4)]
        kinds = [STARTED, STOPPED, STARTED, STOPPED]
        outcomes = [desk.post(body(kind, occurred_ns=at)).outcome for kind, at in zip(kinds, times, strict=True)]
        assert outcomes == ["announced", "withdrawn"] * 2

    def test_what_is_remembered_is_bounded(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "MOST_LEGS", 3)
        for number in range(10):
            desk.post(body(leg=UUID(int=number)))
        assert len(desk.incoming._last) == 3


class TestRubbish:
    """Signed, but no event: never an exception, and 400 for what cannot be read."""

    @pytest.mark.parametrize(
        "sent",
        [
            b"",
            b"{}",
            b"null",
            b'{"data":{}}',
            b'{"data":{"event_type":5}}',
            b"\xff",
            b"[" * 60_000,
            b'{"data":' * 8000,
            b'{"data":{"event_type":"call.fork.started"}}',
            b'{"data":{"event_type":"call.fork.started","payload":[]}}',
            b'{"data":{"event_type":"call.fork.started","payload":{"call_leg_id":"../../etc"}}}',
            b'{"data":{"event_type":"call.fork.started","occurred_at":"then","payload":{"call_leg_id":"%s"}}}'
            % str(LEG).encode(),
            b'{"data":{"event_type":"call.fork.started","occurred_at":"9999-12-31T23:59:59-23:59",'
            b'"payload":{"call_leg_id":"\\ud800"}}}',
        ],
    )
    def test_named(self, desk: Desk, sent: bytes) -> None:
        assert (judged := desk.post(sent)).outcome == "malformed"
        assert judged.status == 400

    @given(sent=st.binary(max_size=300), signature=st.text(max_size=100), timestamp=st.text(max_size=20))
    def test_any(self, sent: bytes, signature: str, timestamp: str) -> None:
        incoming = Incoming(Verifier([KEY.public_key]))
        assert incoming.judge(signature, timestamp, sent, NOW_NS).status in (401, 403)
        headers = KEY.headers(sent, NOW_S)
        assert incoming.judge(*both(headers), sent, NOW_NS).outcome in OUTCOMES

    @given(
        data=st.recursive(
            st.none() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(
                    st.sampled_from(["data", "event_type", "payload", "call_leg_id", "occurred_at", "id"]), inner
                )
            ),
        )
    )
    def test_any_json(self, data: Any) -> None:
        sent = msgspec.json.encode({"data": {"event_type": STARTED, "payload": data, "id": "1"}})
        incoming = Incoming(Verifier([KEY.public_key]))
        headers = KEY.headers(sent, NOW_S)
        assert incoming.judge(*both(headers), sent, NOW_NS).outcome in ("malformed", "announced")


def _key() -> Signer:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Signer(Ed25519PrivateKey.generate())


KEY = _key()
