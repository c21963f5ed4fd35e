"""Files as sources."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import skytide as kd

ROWS = [{"t": at, "k": "AB"[at % 2], "x": at, "text": f"text {at}"} for at in range(20_000)]


def test_files_of_every_format_in_any_order(tmp_path: Path) -> None:
    shuffled = random.Random(1).sample(ROWS, len(ROWS))
    table = pa.Table.from_pylist(shuffled)
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=1000)
    with (
        pa.OSFile(str(tmp_path / "rows.arrow"), "wb") as file,
        pa.ipc.new_file(file, table.schema) as writer,
    ):
        writer.write_table(table)
    pa.feather.write_feather(table, tmp_path / "rows.feather")
    table.to_pandas().to_csv(tmp_path / "rows.csv", index=False)
    table.to_pandas().to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    for path in sorted(tmp_path.iterdir()):
        for memory in (100_000, 100_000_000):
            source = kd.sources.Files(path, time_column="t", key_column="k", memory=memory)
            running = source.col("x").run_iter("row")
            assert [row["result"] for row in running] == list(range(20_000)), path
            assert (running.status["spilled"] > 0) == (memory == 100_000), path
            assert running.status["read"] == 20_000


def test_parquet_is_a_pattern_of_files(tmp_path: Path) -> None:
    for part in range(4):
        pq.write_table(pa.Table.from_pylist(ROWS[part::4]), tmp_path / f"part-{part}.parquet")
    source = asyncio.run(
        kd.sources.Parquet.create(
            str(tmp_path / "part-*.parquet"),
            time_column="t",
            key_column="k",
            grouping_name="user",
            name="rows",
        )
    )
    assert isinstance(source, kd.sources.Parquet)
    assert (source.name, source.grouping) == ("rows", "user")
    assert [name for name, _ in source.schema.fields] == ["t", "k", "x", "text"]
    assert source.col("x").sum().to_rows()[-1]["result"] == sum(range(1, 20_000, 2))


def test_what_is_wrong_names_the_file(tmp_path: Path) -> None:
    cut = tmp_path / "cut.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), cut)
    cut.write_bytes(cut.read_bytes()[:-100])
    with pytest.raises(ValueError, match="cut.parquet: it is no whole Parquet file"):
        kd.sources.Parquet(cut, time_column="t", key_column="k")
    missing = tmp_path / "missing.csv"
    with pytest.raises(FileNotFoundError) as raised:
        kd.sources.Files(missing, time_column="t", key_column="k")
    assert raised.value.filename == str(missing)
    recording = tmp_path / "missing.frames.zst"
    with pytest.raises(FileNotFoundError) as raised:
        kd.sources.Firehose(recording).posts.count().to_rows()
    assert raised.value.filename == str(recording)
    with pytest.raises(ValueError, match="no file has such a name"):
        kd.sources.Files(tmp_path / "*.csv", time_column="t", key_column="k")
    good = tmp_path / "good.csv"
    good.write_text("t,k\n1,A\n")
    with pytest.raises(ValueError, match='good.csv: there is no column "at" for the time'):
        kd.sources.Files(good, time_column="at", key_column="k")
    with pytest.raises(
        TypeError, match="no keyword 'subsort_colum'; subsort_column, grouping_name"
    ):
        kd.sources.Files(good, time_column="t", key_column="k", subsort_colum="k")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="no time unit"):
        kd.sources.Files(good, time_column="t", key_column="k", time_unit="weeks")  # type: ignore[arg-type]
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"t": 1, "k": "A"}\n' * 20_000 + "nonsense\n")
    source = kd.sources.Files(bad, time_column="t", key_column="k")
    with pytest.raises(RuntimeError, match="bad.jsonl, line 20001"):
        source.count().to_rows()


def test_columns_may_be_told_before_there_is_a_file(tmp_path: Path) -> None:
    schema = pa.schema([("t", pa.int64()), ("k", pa.large_string()), ("x", pa.int64())])
    source = kd.sources.Parquet(schema=schema, time_column="t", key_column="k", time_unit="s")
    count = source.col("x").count()
    assert count.to_rows() == []
    pq.write_table(pa.Table.from_pylist(ROWS[:3]), tmp_path / "rows.parquet")
    source.add_file(tmp_path / "rows.parquet")
    assert [row["result"] for row in count.to_rows()] == [1, 1, 2]


def test_answers_are_written_in_the_form_that_a_name_tells(tmp_path: Path) -> None:
    source = kd.sources.PyDict(ROWS[:100], time_column="t", key_column="k", time_unit="s")
    count = source.count()
    for name in ("counts.parquet", "counts.arrow", "counts.csv", "counts.jsonl"):
        assert count.write(tmp_path / name) == 100
        again = kd.sources.Files(tmp_path / name, time_column="_time", key_column="_key")
        assert [row["result"] for row in again.col("result").run_iter("row")] == [
            at // 2 + 1 for at in range(100)
        ], name
    assert count.write(str(tmp_path / "few.parquet"), row_limit=3) == 3
    assert pq.read_table(tmp_path / "few.parquet").num_rows == 3
    assert count.write(tmp_path / "last.parquet", results=kd.results.Snapshot()) == 2
    with pytest.raises(ValueError, match=r"counts\.txt: the name tells no form"):
        count.write(tmp_path / "counts.txt")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="it has no named pipes")
def test_a_named_pipe_is_read_by_a_thread_of_the_same_program(tmp_path: Path) -> None:
    source = kd.sources.PyDict(ROWS[:100], time_column="t", key_column="k", time_unit="s")
    for name in ("counts.csv", "counts.parquet"):
        pipe = tmp_path / name
        os.mkfifo(pipe)
        with ThreadPoolExecutor(1) as threads:
            read = threads.submit(pipe.read_bytes)
            assert source.count().write(pipe) == 100
            assert len(read.result()) > 500, name


def test_moments_stay_moments_and_what_has_no_form_is_null_or_refused(tmp_path: Path) -> None:
    columns = {
        "t": pa.array([0, 1], pa.timestamp("s")),
        "k": pa.array([7, 2**40], pa.timestamp("s")),
        "day": pa.array([0, 2**31 - 1], pa.date32()),
        "seen": pa.array([[(1, "a")], []], pa.map_(pa.int32(), pa.string())),
        "none": pa.array([{}, {}], pa.struct([])),
    }
    with (
        pa.OSFile(str(tmp_path / "rows.arrow"), "wb") as file,
        pa.ipc.new_file(file, (table := pa.table(columns)).schema) as writer,
    ):
        writer.write_table(table)
    source = kd.sources.Files(tmp_path / "rows.arrow", time_column="t", key_column="k")
    assert source.col("seen").write(tmp_path / "seen.parquet") == 2
    read = pq.read_table(tmp_path / "seen.parquet")
    assert read.schema.field("_key").type == pa.timestamp("ms")
    assert read["_key"].cast(pa.int64()).to_pylist() == [7_000, 2**40 * 1000]
    kd.record({"day": source.col("day"), "seen": source.col("seen")}).write(tmp_path / "seen.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "seen.jsonl").read_text().splitlines()]
    assert [(line["day"], line["seen"]) for line in lines] == [
        ("1970-01-01", {"1": "a"}),
        (None, {}),
    ]
    with pytest.raises(
        ValueError, match=r'the column "none" as Parquet: it has no form for records'
    ):
        source.write(tmp_path / "none.parquet")
    assert not (tmp_path / "none.parquet").exists()


def test_what_fails_leaves_no_file(tmp_path: Path) -> None:
    @kd.udf("fails<N: number>(x: N) -> N", arrow=True)
    def fails(x: pa.Array) -> pa.Array:
        raise ArithmeticError("no")

    source = kd.sources.PyDict(ROWS[:100], time_column="t", key_column="k", time_unit="s")
    with pytest.raises(RuntimeError, match="fails"):
        fails(source.col("x")).write(tmp_path / "never.parquet")
    for name in ("counts.parquet", "counts.arrow", "counts.csv", "counts.jsonl"):
        path = tmp_path / "nowhere" / name
        with pytest.raises(FileNotFoundError) as error:
            source.count().write(path)
        assert error.value.filename == str(path) and error.value.errno == errno.ENOENT
    assert list(tmp_path.iterdir()) == []
    for name in ("counts.parquet", "counts.arrow", "counts.csv", "counts.jsonl"):
        source.count().write(tmp_path / name)
        earlier = (tmp_path / name).read_bytes()
        with pytest.raises(RuntimeError, match="fails"):
            fails(source.col("x")).write(tmp_path / name)
        assert (tmp_path / name).read_bytes() == earlier, name
