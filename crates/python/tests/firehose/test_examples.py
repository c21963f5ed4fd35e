"""The five programs that users start from, against the simulated network."""

from __future__ import annotations

import re
from pathlib import Path

from ..sim import run_example, sim
from .server import Answer, Server, unused_port
from .wire import commit, post


def script(folder: Path, *lines: str) -> str:
    path = folder / "faults.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return f"@{path}"


def test_blocking_repos_prints_posts() -> None:
    with sim("--rate", "0") as network:
        code, lines = run_example("blocking_repos.py", network.url, 50)
    assert code == 0 and len(lines) == 50
    line = re.compile(r"(create|update|delete) at://did:plc:\w+/app\.bsky\.feed\.post/\w+ ['\"]")
    assert all(line.match(each) for each in lines)
    assert sum(each.startswith("create") for each in lines) > 25


def test_blocking_repos_prints_an_error_frame(tmp_path: Path) -> None:
    faults = script(tmp_path, "at 20 error ConsumerTooSlow")
    with sim("--rate", "0", "--faults", faults) as network:
        code, lines = run_example("blocking_repos.py", network.url, 100)
        assert "error: 1" in network.end()
    assert code == 0
    errors = [each for each in lines if each.startswith("error")]
    assert len(errors) == 1 and errors[0].startswith("error ConsumerTooSlow: ")
    assert len(lines) == 101


def test_async_repos_counts_messages() -> None:
    with sim("--rate", "1500") as network:
        code, lines = run_example("async_repos.py", network.url, 3000)
    assert code == 0
    reports = [each for each in lines if each.startswith("at ")]
    counts = dict(each.split(": ") for each in lines if not each.startswith("at "))
    assert sum(map(int, counts.values())) == 3000
    assert int(counts["commit"]) > 2500
    # While frames came: at a rate of 1500 that takes two seconds, or more where the network is slow.
    cursors = [int(each.split()[1].rstrip(":")) for each in reports if "None" not in each]
    # Where the machine is busy, none may have come between two reports.
    assert reports and cursors == sorted(cursors)


def test_labels_prints_labels() -> None:
    with sim("--rate", "0") as network:
        code, lines = run_example("labels.py", network.url, 40)
    assert code == 0 and len(lines) == 40
    line = re.compile(r"[+-]\S+ (at://)?did:plc:\S+ by did:\S+ at \d{4}-\d\d-\d\dT")
    assert all(line.match(each) for each in lines)


def test_commits_shows_blocks_records_and_blobs() -> None:
    with sim("--rate", "0") as network:
        code, lines = run_example("commits.py", network.url, 300)
    assert code == 0
    heads = [each for each in lines if not each.startswith(" ")]
    assert len(heads) == 300
    assert all(re.fullmatch(r"\d+ did:\S+ \S+ -> \w{13}: \d+ blocks", each) for each in heads)
    assert sum(each.startswith("  commit bafyrei") for each in lines) == 300
    kinds = {each.split()[0] for each in lines if re.match(r"  \S", each)} - {"commit"}
    assert {"create", "delete"} <= kinds <= {"create", "update", "delete"}
    assert sum("    app.bsky." in each and "$type" in each for each in lines) > 200
    blobs = [each for each in lines if each.startswith("    blob")]
    assert blobs
    assert all(
        re.fullmatch(r"    blob bafkrei\w{52} \w+/[\w.+-]+ \d+ bytes", each) for each in blobs
    )


def test_robust_gives_up_after_five_failed_dials() -> None:
    code, lines = run_example("robust.py", f"ws://127.0.0.1:{unused_port()}")
    assert code == 1
    assert lines[-1] == "Max retries exceeded"
    assert [each[:14] for each in lines[:-1]] == [f"attempt {n} of 5" for n in range(1, 6)]
    assert all("cannot connect" in each for each in lines[:-1])


def test_robust_goes_on_after_fewer() -> None:
    refusals = [[Answer("503 Service Unavailable")]] * 4
    with Server([*refusals, [commit(1, [("a.b.c/d", post())])]]) as server:
        code, lines = run_example("robust.py", server.url, 1)
        assert len(server.requests) == 5
    assert code == 0
    assert lines[-1] == "commit 1" and len(lines) == 5


def test_robust_goes_on_at_the_cursor_and_skips_what_is_malformed(tmp_path: Path) -> None:
    faults = script(
        tmp_path,
        "at 30 three-items",
        "at 60 reset after 5 bytes",
        "at 90 truncated after 60 bytes",
        "at 120 disconnect",
        "at 150 error ConsumerTooSlow",
    )
    with sim("--rate", "0", "--faults", faults) as network:
        code, lines = run_example("robust.py", network.url, 200)
        said = network.end()
    assert code == 0
    for fault in ("three-items", "reset", "truncated", "disconnect", "error"):
        assert f"{fault}: 1" in said
    skipped = [each for each in lines if each.startswith("skipped a malformed message")]
    assert len(skipped) == 2
    assert len([each for each in lines if each.startswith("attempt 1 of 5")]) == 3
    assert [each for each in lines if each.startswith("error frame ConsumerTooSlow")]
    seqs = [int(each.split()[1]) for each in lines if each.startswith("commit")]
    assert seqs == sorted(set(seqs)) and len(seqs) >= 200


def test_robust_ends_with_a_final_error_frame(tmp_path: Path) -> None:
    faults = script(tmp_path, "at 10 error FutureCursor")
    with sim("--rate", "0", "--faults", faults) as network:
        code, lines = run_example("robust.py", network.url)
    assert code == 1
    assert any(each.startswith("error frame FutureCursor") for each in lines)
    assert lines[-1].startswith("the stream ended: the server ended the stream with FutureCursor")
