"""When the demonstration says that all went well, and when it must not."""

from collections import Counter
from dataclasses import replace

import pytest

from smallage.demo.evidence import Evidence
from smallage.demo.report import Kill, Run, complaints, rows

WELL = Run(
    n=1_000, concurrency=50, latency=0.15, wall=3.5, total=1_000, done=1_000, failed=0, retried=23, indexed=1_000,
    unsearchable=(), wait_p50=1.5, wait_p95=3.0, taken_back=0, foreman_crashes=0,
    evidence=Evidence(50, Counter({200: 1_000, 503: 20, 429: 3}), 1_000, (), Counter(), 0),
)  # fmt: skip
CHAOS = replace(
    WELL,
    chaos=True,
    kills=(Kill(7, "it ran the foreman", foreman=True), Kill(8, "25 of its tasks were running")),
    taken_back=49,
    foreman_crashes=1,
    evidence=replace(WELL.evidence, cut=Counter({7: 24, 8: 25}), fetched_again=49),
)


def test_all_well():
    assert complaints(WELL) == []
    assert complaints(CHAOS) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"total": 1_001}, "1,001 tasks were fanned out"),
        ({"done": 999}, "999 of 1,000 tasks are done"),
        ({"failed": 1}, "1 failed"),
        ({"indexed": 999}, "holds 999"),
        ({"unsearchable": ("v0003",)}, "v0003"),
        ({"evidence": replace(WELL.evidence, served=999)}, "served 999"),
        ({"evidence": replace(WELL.evidence, fanned_out_twice=("v0001",))}, "v0001"),
    ],
)
def test_each_lack_is_named(change, said):
    (sentence,) = complaints(replace(WELL, **change))
    assert said in sentence


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kills": CHAOS.kills[1:]}, "ran the foreman was not killed"),
        ({"foreman_crashes": 0}, "foreman was not run again"),
        ({"kills": CHAOS.kills[:1]}, "No child was killed while it fetched"),
        ({"evidence": replace(CHAOS.evidence, cut=Counter({8: 4}))}, "Only 4 requests"),
        ({"taken_back": 0}, "Nothing had to be taken back"),
        ({"evidence": replace(CHAOS.evidence, fetched_again=0)}, "0 items fetched again"),
    ],
)
def test_chaos_that_did_no_harm_is_a_failure(change, said):
    (sentence,) = complaints(replace(CHAOS, **change))
    assert said in sentence


def test_the_table_has_the_numbers_of_the_articles():
    table = dict(rows(replace(WELL, latency=1.5, wall=31.0)))
    assert table["indexed and searchable"] == "1,000 of 1,000"
    assert "31.0 s  (one after the other: 25 min, 48 × as long)" in table["wall time"]
    assert table[""].startswith("1.0 s over the ideal 30.0 s of 50 at a time")
    assert table["retried"] == "23  (20 × 503, 3 × 429)"
    assert "killed" not in table
    assert "kill -9 7: it ran the foreman" in dict(rows(CHAOS))["killed"]
