"""Which test is for which command of the documentation, and which commands no test can run, and why.

A command in a page that is not counted here fails `test_every_command.py`: write the test first. Commands in running
text are `IN_TEXT`; those that call `strep`, `make` or `pip` need no further line, `test_names.py` knows them.
"""

from __future__ import annotations

from dataclasses import dataclass

RUN, LINTED, SHOWN = "run", "linted", "shown"
"""Run as it is printed, but for addresses, tokens and lengths; checked without doing it; compared with the code's."""


@dataclass(frozen=True)
class Claim:
    """So many commands of a shell, or blocks of another language, of a page or of its section."""

    place: str
    """PAGE, or PAGE#SECTION; what a section has is not counted for its page."""
    language: str
    count: int
    how: str
    test: str
    why: str = ""
    """It is not run."""


_RUN = "tests/docs/test_commands_run.py::"
_LINTED = "tests/docs/test_linted.py::"
_QUICK = "tests/test_quickstart_page.py::"
_LISTEN = "docs/listening.md#"
_SYSTEMD = "needs a machine whose first process is systemd, and root"

CLAIMS = [
    Claim("README.md", "text", 1, SHOWN, "", "a drawing"),
    Claim("README.md", "console", 2, RUN, _RUN + "test_a_first_call"),
    Claim("README.md#Use it as a library", "python", 1, RUN, "tests/test_readme.py::test_the_program_receives_pcm"),
    Claim("README.md#Talk back", "python", 1, RUN, "tests/test_readme.py::test_the_program_talks_back"),
    Claim("README.md#Talk back", "console", 3, RUN, "tests/test_readme.py::test_the_program_talks_back"),
    Claim("README.md#Listen, control, feed, deliver", "console", 1, RUN, _RUN + "test_programs_are_fed"),
    Claim("docs/admission.md", "console", 5, RUN, "tests/test_admission_page.py::test_the_commands_run"),
    Claim("docs/capacity.md", "console", 1, RUN, _RUN + "test_doctors"),
    Claim("docs/capacity.md", "console", 1, LINTED, _LINTED + "test_every_call_of_ours_is_understood",
          "takes a minute; tests/benchmarks/test_questions.py asks the same with less"),
    Claim("docs/control.md", "console", 11, RUN, "tests/test_control_page.py::test_its_commands_run"),
    Claim("docs/doctor.md", "console", 1, RUN, "tests/doctor/test_doctor.py::test_the_command_of_the_page_runs"),
    Claim("docs/encryption.md", "console", 3, RUN,
          "tests/test_encryption_page.py::test_the_commands_make_keys_serve_and_open"),
    Claim("docs/encryption.md", "python", 1, RUN, "tests/test_encryption_page.py::test_the_reader_reads"),
    Claim("docs/feed.md", "console", 6, RUN, _RUN + "test_programs_are_fed"),
    Claim(_LISTEN + "Events", "json", 1, SHOWN, _LINTED + "test_events_that_are_shown_are_events"),
    Claim(_LISTEN + "Digits and gather", "python", 1, RUN, "tests/test_hearing_page.py::test_the_order_number"),
    Claim(_LISTEN + "Machines", "python", 1, RUN, "tests/test_hearing_page.py::test_the_reminder"),
    Claim(_LISTEN + "Webhooks", "python", 1, RUN,
          "tests/test_webhook_page.py::test_the_receiver_verifies_and_prints_what_happens"),
    Claim(_LISTEN + "Webhooks", "console", 3, RUN,
          "tests/test_webhook_page.py::test_the_receiver_verifies_and_prints_what_happens"),
    Claim(_LISTEN + "Recording during the call", "python", 1, RUN,
          "tests/test_recording_page.py::test_the_program_runs_and_the_number_is_nowhere"),
    Claim(_LISTEN + "Recording during the call", "console", 2, RUN,
          "tests/test_recording_page.py::test_the_program_runs_and_the_number_is_nowhere"),
    Claim(_LISTEN + "Transcription", "console", 3, RUN,
          "tests/test_transcription_page.py::test_the_commands_say_what_the_page_says"),
    Claim(_LISTEN + "Transcription", "console", 1, RUN,
          "tests/test_transcription_page.py::test_the_command_for_actions_is_one"),
    Claim(_LISTEN + "Transcription", "json", 1, SHOWN,
          "tests/test_transcription_page.py::test_the_commands_say_what_the_page_says"),
    Claim(_LISTEN + "Transcription", "json", 1, SHOWN, _LINTED + "test_events_that_are_shown_are_events"),
    Claim(_LISTEN + "Transcription", "text", 1, SHOWN, _LINTED + "test_the_cue_is_that_of_the_event"),
    Claim(_LISTEN + "Transcription", "python", 1, RUN, "tests/test_transcription_page.py::test_the_program_is_one",
          "defined, not called: an engine hears a call in the tests of media/transcribing"),
    Claim(_LISTEN + "Transcription", "python", 1, RUN,
          "tests/test_transcription_page.py::test_the_engine_of_your_own"),
    Claim(_LISTEN + "Transcription", "toml", 1, RUN, "tests/test_transcription_page.py::test_the_engine_of_your_own"),
    Claim(_LISTEN + "Noise", "console", 1, RUN, "tests/denoising/test_page.py::test_the_application_and_its_command"),
    Claim(_LISTEN + "Noise", "python", 1, RUN, "tests/denoising/test_page.py::test_the_application_and_its_command"),
    Claim(_LISTEN + "Lost packets", "console", 2, RUN, "tests/concealing/test_page.py::test_its_commands"),
    Claim(_LISTEN + "Formats and stores", "console", 2, RUN, "tests/delivery/test_page.py::test_a_directory"),
    Claim(_LISTEN + "Formats and stores", "console", 3, RUN, "tests/delivery/test_page.py::test_an_s3_server"),
    Claim("docs/nats.md", "console", 3, RUN, "tests/test_nats_page.py::test_a_call_comes_to_the_consumer"),
    Claim("docs/observing.md", "console", 7, RUN, "tests/test_observing_page.py::test_the_commands_run"),
    Claim("docs/observing.md", "sql", 1, RUN, "tests/test_observing_page.py::test_the_commands_run"),
    Claim("docs/observing.md#Traces", "console", 1, RUN,
          "tests/test_observing_page.py::test_it_starts_without_a_collector"),
    Claim("docs/operation.md", "sh", 4, LINTED, _LINTED + "test_units_are_those_that_are_there", _SYSTEMD),
    Claim("docs/operation.md", "console", 1, RUN, _RUN + "test_a_second_process_takes_over"),
    Claim("docs/page.md", "console", 1, RUN, _RUN + "test_the_page_is_served"),
    Claim("docs/quickstart.md", "console", 1, RUN, _RUN + "test_doctors"),
    Claim("docs/quickstart.md", "console", 1, RUN, _RUN + "test_a_token_nobody_else_reads"),
    Claim("docs/quickstart.md", "console", 16, RUN, _QUICK + "test_every_command_ends_in_a_recording"),
    Claim("docs/quickstart.md", "sh", 8, RUN, _RUN + "test_requests_to_carriers_are_sent"),
    Claim("docs/quickstart.md", "xml", 2, SHOWN, _QUICK + "test_requests_to_twilio_and_tryvox"),
    Claim("docs/quickstart.md", "json", 1, SHOWN, _QUICK + "test_requests_to_twilio_and_tryvox"),
    Claim("docs/recordings.md", "console", 2, RUN, _RUN + "test_a_first_call"),
    Claim("docs/talking-back.md", "console", 8, RUN,
          "tests/test_docs.py::test_every_command_runs_and_every_caller_hears_something"),
    Claim("docs/talking-back.md", "python", 1, RUN,
          "tests/test_docs.py::test_every_command_runs_and_every_caller_hears_something"),
    Claim("docs/talking-back.md", "json", 1, SHOWN, "tests/test_docs.py::test_the_request_says_the_same_to_both"),
    Claim("docs/talking-back.md", "xml", 1, SHOWN, _LINTED + "test_twilio_dials_a_path_that_there_is"),
    Claim("docs/talking-back.md", "text", 1, SHOWN,
          "tests/test_docs.py::test_the_table_of_the_dialects_is_that_of_the_code"),
    Claim("docs/terminal.md", "console", 8, RUN, "tests/test_terminal_page.py::test_every_command"),
    Claim("docs/terminal.md#Completion", "console", 6, RUN,
          "tests/test_terminal_page.py::test_completion_is_installed"),
    Claim("docs/timeline.md", "console", 3, RUN, "tests/test_timeline_page.py::test_its_commands"),
    Claim("docs/troubleshooting.md", "console", 1, RUN, _RUN + "test_a_capture_is_looked_at_and_sent_again"),
    Claim("docs/troubleshooting.md", "sh", 1, LINTED, _LINTED + "test_the_capture_has_the_name_that_is_read",
          "listens on all networks, which takes root"),
]  # fmt: skip


@dataclass(frozen=True)
class InText:
    """Commands in running text that begin with these words."""

    begin: str
    how: str
    test: str
    why: str = ""


_LOOKS = "only looks, at a machine that is in trouble"
_CHANGES = "changes this machine, for good or as root"
_FIREWALL = "needs root and nftables, and shuts out other programs' packets"
_NAMED = "tests/docs/test_names.py::"

IN_TEXT = [
    InText("strep ", LINTED, _NAMED + "test_a_command_in_the_text_is_one"),
    InText("(umask 077; strep token > tokens.txt)", RUN, _RUN + "test_a_token_nobody_else_reads"),
    InText("strep replay calls.pcap", RUN, _RUN + "test_a_capture_is_looked_at_and_sent_again"),
    InText("make ", LINTED, _NAMED + "test_targets_and_extras"),
    InText("pip install ", LINTED, _NAMED + "test_targets_and_extras", "asks a package index"),
    InText("apt-get install ", LINTED, _LINTED + "test_packages_are_those_of_the_makefile", _CHANGES),
    InText("mkdir prompts; espeak-ng", RUN, _RUN + "test_a_prompt_is_made"),
    InText("mkdir -p recordings; docker build", LINTED, _LINTED + "test_the_container_gets_what_it_has_room_for",
           "no daemon and no registry here: make container-test"),
    InText("nats_consumer.py ", RUN, "tests/test_nats_page.py::test_a_call_comes_to_the_consumer"),
    InText("sysctl -w", LINTED, _LINTED + "test_settings_of_the_kernel_are_there", _CHANGES),
    InText("echo net.core.rmem_max", LINTED, _LINTED + "test_settings_of_the_kernel_are_there", _CHANGES),
    InText("systemctl stop", LINTED, _LINTED + "test_units_are_those_that_are_there", _SYSTEMD),
    InText("nft list ruleset", SHOWN, "", _LOOKS),
    InText("nft add rule ", SHOWN, "", _FIREWALL),
    InText("iptables -L", SHOWN, "", _LOOKS),
    InText("ss -ulnp", SHOWN, "", _LOOKS),
    InText("curl -v https://media.example.com/", SHOWN, "", "asks a server of yours, from elsewhere"),
    InText("kill -9", SHOWN, "", "said of what happens, not to be typed; make kills"),
    InText("ulimit -n", SHOWN, "", "a setting of the shell"),
    InText("set -o pipefail", SHOWN, "", "a setting of the shell"),
]  # fmt: skip
PROGRAMS = {text.begin.strip("(").split()[0] for text in IN_TEXT} | {
    "age", "chmod", "chown", "cp", "docker", "ffmpeg", "ffprobe", "flac", "flite", "git", "jq", "kubectl",
    "nats-server", "openssl", "promtool", "psql", "python", "sox", "soxi", "sudo", "tcpdump", "timedatectl", "wget",
}  # fmt: skip
"""With what a piece of code in running text begins that is a command."""
