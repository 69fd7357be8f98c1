"""What `frontgate lab simulate` writes: pictures, CSV, JSON, series and the report."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest

from proxy import cli
from proxy.lab import files

ROOT = Path(__file__).resolve().parents[3]
SMALL = ["lab", "simulate", "--requests", "2000", "--strategy", "round_robin,least_conn"]
HEADS = ["strategy", "mean_ms", "margin_ms", "p50_ms", "p90_ms", "p99_ms", "max_ms", "imbalance", "retries", "answered"]


def run(*words, code=0):
    assert cli.main([*SMALL, *words]) == code


def told(capsys):
    return json.loads(capsys.readouterr().out)


def test_a_series_as_picture_table_csv_and_json(tmp_path, capsys):
    png, svg, table = (tmp_path / name for name in ("p.png", "p.svg", "p.csv"))
    vary = ("--vary", "load=0.3,0.8", "--measure", "p99,imbalance")
    run(*vary, "--png", str(png), "--svg", str(svg), "--csv", str(table), "--plot", "vary")
    out = capsys.readouterr().out
    assert out.index("load = 0.3") < out.index("load = 0.8") and out.count("least_conn") == 2
    assert png.read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert [row["load"] for row in rows] == ["0.3", "0.8"] * 4
    run(*vary, "--json", "-")
    found = told(capsys)
    assert (found["vary"], found["values"]) == ("load", ["0.3", "0.8"])
    slow = found["points"][1]["strategies"]["least_conn"]
    assert float(rows[3]["value"]) == pytest.approx(slow["latency_ms"]["p99"], abs=1e-4)
    assert found["points"][1]["scenario"]["load"] == 0.8


@pytest.mark.parametrize(
    ("text", "key", "values"),
    [
        ("doors=1,2", "doors", [1, 2]),
        ("backends=2,4", "backends", [2, 4]),
        ("max-conns=1,2", "upstream", None),
        ("upstream.retry.budget=0.1,0.5", "upstream", [{"retry": {"budget": 0.1}}, {"retry": {"budget": 0.5}}]),
        ("service=exp:20ms,det:20ms", "service", ["exp:20ms", "det:20ms"]),
        ("service=lognormal:20ms:1.5;exp:1ms", "service", ["lognormal:20ms:1.5", "exp:1ms"]),
        ("concurrency=1,3", "backends", None),
    ],
)
def test_any_key_can_be_varied(capsys, text, key, values):
    run("--vary", text, "--json", "-")
    scenarios = [point["scenario"] for point in told(capsys)["points"]]
    assert len(scenarios) == 2 and scenarios[0] != scenarios[1]
    if values is not None:
        found = [one.get(key, 1) for one in scenarios]
        assert [len(one) if key == "backends" else one for one in found] == values


def test_a_folder_of_csv_has_all_numbers(tmp_path, capsys):
    run("--csv", str(tmp_path / "all"), "--explain", "1:2", "--json", str(tmp_path / "o.json"))
    files = {path.stem: list(csv.reader(path.open())) for path in (tmp_path / "all").iterdir()}
    assert set(files) == {
        "outcome", "cdf", "percentiles", "rates", "shares", "heat", "imbalance", "queues", "decisions",
    }  # fmt: skip
    found = json.loads((tmp_path / "o.json").read_text())
    assert files["outcome"][0][:10] == HEADS
    for row in files["outcome"][1:]:
        assert float(row[5]) == pytest.approx(found["strategies"][row[0]]["latency_ms"]["p99"], abs=1e-4)
    shares = [float(row[3]) for row in files["shares"] if row[:2] == ["Share of the answers", "least_conn"]]
    assert shares == pytest.approx([one["share"] for one in found["strategies"]["least_conn"]["backends"]], abs=1e-6)
    assert len(found["decisions"]) == len(files["decisions"]) - 1 > 100
    assert all(1.0 <= one["at_s"] < 2.0 and one["why"] for one in found["decisions"])
    assert files["heat"][0] == ["strategy", "backend", "seconds", "load"]


def test_one_figure_as_csv_and_in_the_json(tmp_path, capsys):
    run("--plot", "queues", "--csv", "-")
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == ["panel", "strategy", "seconds", "requests"] and len(rows) > 100
    run("--plot", "queues", "--json", "-")
    found = told(capsys)["figures"]
    assert list(found) == ["queues"]
    assert [
        [f"{cell:.9g}" if isinstance(cell, float) else cell for cell in row] for row in found["queues"]["rows"]
    ] == rows[1:]
    run("--csv", "-")
    assert capsys.readouterr().out.splitlines()[0].split(",")[:10] == HEADS
    run("--json", "-")
    assert "figures" not in told(capsys)


def test_no_text_of_a_log_is_calculated_by_a_spreadsheet():
    row = ["=1+1", "+a", "-cmd", "@x", "\t=a", "-", "-1", "+2.5", -3.0, 4, "a=b"]
    (found,) = csv.reader(io.StringIO(files.table([], [row]).lstrip()))
    assert found == ["'=1+1", "'+a", "'-cmd", "'@x", "'\t=a", "-", "-1", "+2.5", "-3", "4", "a=b"]


def test_png_that_ends_in_svg_is_svg(tmp_path, capsys):
    run("--png", str(tmp_path / "p.svg"))
    assert (tmp_path / "p.svg").read_text().startswith("<svg")


def test_the_report_and_the_command_that_repeats_it(tmp_path, capsys):
    report = tmp_path / "with space.html"
    run("--report", str(report), "--backends", "3", "--json", "-")
    first, page = told(capsys), report.read_text()
    command = re.search(r'<code id="command">(.*?)</code>', page)[1].replace("&#x27;", "'")
    words = shlex.split(command)
    assert words[0] == "frontgate" and str(report) in words
    report.unlink()
    assert cli.main(words[1:]) == 0
    assert told(capsys) == first and report.read_text() == page
    assert page.count("<svg") == 7 and "Decisions of least_conn: " in page
    assert set(first["figures"]) == {"cdf", "percentiles", "rates", "shares", "heat", "imbalance", "queues"}


def test_mistakes_are_said_before_the_run(tmp_path, capsys, monkeypatch):
    def never(*_, **__):
        raise AssertionError

    monkeypatch.setattr("proxy.cli.lab.simulate.compare", never)
    monkeypatch.setattr("proxy.cli.lab.simulate.series", never)
    for words, sentence in (
        (["--png", "-"], "is for --json and --csv: say a file"),
        (["--json", "-", "--csv", "-"], "cannot both be standard output"),
        (["--png", "no/p.png"], "no/p.png cannot be written: there is no folder no; make it first"),
        (["--report", str(tmp_path)], "it is a folder; say a file in it"),
        (["--json", "no/o.json"], "there is no folder no"),
        (["--csv", "no/o.csv"], "there is no folder no"),
        (["--csv", "no/folder"], "there is no folder no"),
        (["--vary", "load"], "--vary takes KEY=V1,V2,..."),
        (["--vary", "load="], "--vary takes KEY=V1,V2,..."),
        (["--vary", "doors=x"], '--vary doors takes numbers (got "x")'),
        (["--vary", "strategy=random"], "say several strategies with --strategy A,B"),
        (["--vary", "load=0.5", "--measure", "p95"], '(got "p95")'),
        (["--vary", "load=0.5", "--plot", "heat", "--csv", "-"], "--plot heat is of one scenario: leave out --vary"),
        (["--vary", "load=0.5", "--watch"], "--watch is of one scenario: leave out --vary"),
        (["--vary", "load=0.5", "--explain", "1:2"], "--explain is of one scenario: leave out --vary"),
        (["--plot", "vary", "--csv", "-"], "--plot vary needs --vary KEY=V1,V2,..."),
        (["--plot", "heat"], "--plot heat says what is drawn; say where with --png, --svg, --csv or --json FILE"),
    ):
        run(*words, code=1)
        assert sentence in capsys.readouterr().err, words
    for text in ("3", "2:1", "a:b"):
        with pytest.raises(SystemExit):
            run("--explain", text)
        assert "is no window" in capsys.readouterr().err


def test_without_the_extra_a_sentence_says_so_before_the_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "resvg_py", None)
    run("--png", str(tmp_path / "p.png"), code=1)
    assert 'pip install "frontgate[lab]"' in capsys.readouterr().err
    assert not (tmp_path / "p.png").exists()
    run("--svg", str(tmp_path / "p.svg"))


def test_a_file_is_written_whole_or_not_at_all(tmp_path, capsys, monkeypatch):
    file = tmp_path / "r.html"
    file.write_text("before")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("proxy.lab.files.os.replace", full)
    run("--report", str(file), code=1)
    assert f"{file} cannot be written: No space left on device" in capsys.readouterr().err
    assert file.read_text() == "before" and [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_watch_goes_on_without_a_terminal(capsys):
    run("--watch")
    said = capsys.readouterr()
    assert "--watch needs a terminal to draw in; it goes on without" in said.err
    assert "least_conn" in said.out


@pytest.mark.parametrize("pace", ["0", "-1", "nan", "inf", "fast"])
def test_time_cannot_stand_still_or_go_backwards(capsys, pace):
    with pytest.raises(SystemExit):
        run("--watch", f"--pace={pace}")
    assert f"argument --pace: invalid pace value: '{pace}'" in capsys.readouterr().err


def test_a_report_of_a_series(tmp_path, capsys):
    report = tmp_path / "r.html"
    run("--vary", "load=0.3,0.8", "--report", str(report))
    page = report.read_text()
    assert page.count("<svg") == 1 and "Outcome of each strategy, load = 0.8" in page
    assert "--vary load=0.3,0.8" in page and "The whole scenario of load = 0.3, for" in page


def test_a_replay_is_reported_too(tmp_path, capsys):
    log, report = tmp_path / "access.log", tmp_path / "r.html"
    log.write_text("".join(
        f'10.0.0.{place % 7} - - [14/Nov/2023:22:13:{20 + place // 50:02d} +0000] "GET / HTTP/1.1" 200 12 "-" "-"'
        f" {1700000000 + place / 50:.3f} 0.0{place % 9 + 1}0 0.0{place % 9 + 1}0 127.0.0.1:{8000 + place % 3}\n"
        for place in range(400)
    ))  # fmt: skip
    form = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer"'
    form += ' "$http_user_agent" $msec $request_time $upstream_response_time $upstream_addr'
    words = ["lab", "replay", str(log), "--format", form, "--strategy", "round_robin,least_conn", "--json", "-"]
    assert cli.main([*words, "--report", str(report), "--csv", str(tmp_path / "all"), "--explain", "1:2"]) == 0
    found, page = told(capsys), report.read_text()
    assert found["decisions"] and set(found["figures"]) >= {"heat", "cdf"}
    assert "400 requests of " in page and "Decisions of least_conn: " in page and "lab replay" in page
    assert (tmp_path / "all" / "decisions.csv").exists()


def test_the_picture_of_the_docs_is_what_its_command_draws(tmp_path, capsys):
    text = (ROOT / "docs" / "lab.md").read_text().replace("\\\n", " ")
    words = shlex.split(re.search(r"^ +frontgate (lab simulate .*--svg .*)$", text, re.MULTILINE)[1])
    place = words.index("--svg") + 1
    there, words[place] = ROOT / words[place], str(tmp_path / "drawn.svg")
    assert cli.main(words) == 0
    drawn, there = ElementTree.parse(words[place]).getroot(), ElementTree.parse(there).getroot()
    for name in ("title", "desc"):
        texts = [root.find(f"{{http://www.w3.org/2000/svg}}{name}").text for root in (drawn, there)]
        assert len({re.sub(r"[\d.]+", "N", one) for one in texts}) == 1
        numbers = [[float(one) for one in re.findall(r"\d+(?:\.\d+)?", text)] for text in texts]
        assert numbers[0] == pytest.approx(numbers[1], rel=0.01)
    assert f"](images/{(ROOT / 'docs/images/lab-heat.svg').name})" in text
