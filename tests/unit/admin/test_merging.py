"""Texts of several programs become one that Prometheus reads."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, Summary, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from proxy.admin.metrics.merging import Merged, read

A, B = {"upstream": "app", "backend": "a"}, {"upstream": "app", "backend": "b"}


def merged(*texts):
    whole = Merged()
    left_out = [whole.add(read(text, labels)) for text, labels in zip(texts, (A, B), strict=False)]
    return "\n".join([*whole.lines(), ""]), left_out


def program(number):
    registry = CollectorRegistry()
    Counter("jobs", "Jobs done.", ["kind"], registry=registry).labels('odd "kind"\\\n{}').inc(number)
    Histogram("took_seconds", "Time.", registry=registry, buckets=(0.1, 1)).observe(0.5)
    Summary("size_bytes", "Size.", registry=registry).observe(number)
    return generate_latest(registry).decode()


def test_real_programs():
    text, left_out = merged(program(1), program(2))
    assert left_out == [[], []]
    families = {family.name: family for family in text_string_to_metric_families(text)}
    jobs = {sample.labels["backend"]: sample for sample in families["jobs"].samples if sample.name == "jobs_total"}
    assert {name: sample.value for name, sample in jobs.items()} == {"a": 1, "b": 2}
    assert jobs["a"].labels == {"upstream": "app", "backend": "a", "kind": 'odd "kind"\\\n{}'}
    assert families["jobs"].documentation == "Jobs done." and families["jobs"].type == "counter"
    took = [sample for sample in families["took_seconds"].samples if sample.name == "took_seconds_bucket"]
    assert families["took_seconds"].type == "histogram" and len(took) == 6
    assert families["size_bytes"].type == "summary" and len(families["size_bytes"].samples) == 4


def test_every_family_stands_together_behind_one_head():
    lines = merged(program(1), program(2))[0].splitlines()
    heads = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads))
    assert [line for line in lines if line.startswith("# HELP jobs_total")] == ["# HELP jobs_total Jobs done."]
    family = [line.partition("{")[0] for line in lines if not line.startswith("#")]
    changes = [one for one, before in zip(family, [None, *family], strict=False) if one != before]
    assert changes.count("jobs_total") == 1


def test_a_label_of_ours_that_they_have_too_is_exported():
    text, _ = merged('x{backend="mine",a="1"} 2\n')
    assert 'x{upstream="app",backend="a",exported_backend="mine",a="1"} 2' in text


def test_another_type_is_left_out_and_said():
    text, left_out = merged("# TYPE x counter\nx 1\ny 1\n", "# TYPE x gauge\nx 2\ny 2\n")
    assert left_out == [[], ["x"]]
    assert text.count("x{") == 1 and text.count("y{") == 2


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("x 1", 'x{upstream="app",backend="a"} 1'),
        ("x{} 1", 'x{upstream="app",backend="a"} 1'),
        ("x{}1", 'x{upstream="app",backend="a"} 1'),
        ('x{a="1",} 1e-3', 'x{upstream="app",backend="a",a="1"} 1e-3'),
        ('x { a = "}\\"{" , b="" } +Inf', 'x{upstream="app",backend="a",a="}\\"{",b=""} +Inf'),
        ("x NaN", 'x{upstream="app",backend="a"} NaN'),
        ("x -.5 1395066363000\r", 'x{upstream="app",backend="a"} -.5 1395066363000'),
        ("\t x:y_z 1 ", 'x:y_z{upstream="app",backend="a"} 1'),
    ],
)
def test_samples_are_passed_on_as_they_were_written(line, written):
    assert written in merged(f"{line}\n")[0].splitlines()


@pytest.mark.parametrize(
    "line",
    ["<html>", "x", "x one", "1x 1", "x 1_000", "x{a=1} 1", 'x{a="1" 1', 'x{a="1"b="2"} 1', "x{1} 1", 'x{"a"="1"} 1'],
)
def test_what_is_not_of_the_format_is_refused_whole(line):
    with pytest.raises(ValueError, match="line 2"):
        read(f"good 1\n{line}\n", A)


def test_comments_and_strange_words_are_dropped():
    text, _ = merged("# EOF\n# just a word\n#\n# TYPE x stateset\n# HELP y\n# HELP x two  words\nx 1\n")
    assert text.splitlines() == [
        "# HELP x two  words",
        "# TYPE x untyped",
        'x{upstream="app",backend="a"} 1',
    ]
