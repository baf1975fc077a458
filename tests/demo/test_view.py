"""What the demonstration prints."""

import io

from smallage.demo.view import Counts, View, bar, duration, percentile, status


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_bar():
    assert bar(0, 4) == "    "
    assert bar(1, 4) == "████"
    assert bar(0.5, 4) == "██  "
    assert bar(0.53125, 4) == "██▏ "
    assert bar(2, 4) == "████"
    assert {len(bar(n / 97, 20)) for n in range(98)} == {20}


def test_duration():
    assert [duration(s) for s in (0, 0.0121, 0.9996, 3.04, 99.96, 150, 1500)] == [
        "0 ms", "12 ms", "1.0 s", "3.0 s", "100 s", "150 s", "25 min",
    ]  # fmt: skip


def test_percentile():
    values = [float(n) for n in range(1, 101)]
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.95) == 95
    assert percentile(values, 1.0) == 100
    assert percentile(values, 0.0) == 1
    assert percentile([7.0], 0.5) == 7
    assert percentile([], 0.5) == 0.0


def test_status_counts_rate_and_what_is_left():
    text = status(Counts(total=1_000, done=400, failed=1, retried=3), 2.0)
    assert text == "done 400 · failed 1 · retried 3 · 200/s · ETA 3.0 s"
    assert status(Counts(total=10), 0.0).endswith("0/s · ETA –")
    assert status(Counts(total=10, done=9, failed=1), 5.0).endswith("2/s · in 5.0 s")


def test_without_a_terminal_a_line_a_second_and_the_last(monkeypatch):
    out, clock = io.StringIO(), Clock()
    view = View(out, clock)
    view.start()
    for tenth in range(26):
        clock.now = tenth / 10
        view.show(Counts(total=26, done=tenth))
    view.show(Counts(total=26, done=26), last=True)
    lines = out.getvalue().splitlines()
    assert [line.split()[2] for line in lines] == ["10/26", "20/26", "26/26"]
    assert "\x1b" not in out.getvalue()
    assert "\r" not in out.getvalue()


def test_on_a_terminal_one_line_is_redrawn_and_fits(monkeypatch):
    for columns in (40, 60, 80, 120, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("LINES", "24")
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("NO_COLOR", "1")
        out, clock = Terminal(), Clock()
        view = View(out, clock)
        clock.now = 1.0
        view.show(Counts(total=1_000, done=500))
        view.say("something happened")
        view.show(Counts(total=1_000, done=1_000), last=True)
        text = out.getvalue()
        assert text.count("\n") == 2
        drawn = [part.removeprefix("\x1b[K") for part in text.replace("\n", "").split("\r") if part]
        assert all(len(part) < columns for part in drawn)


def test_table_aligns_and_continues():
    out = io.StringIO()
    View(out).table([("indexed", "1,000"), ("searched", "one\ntwo")])
    assert out.getvalue().splitlines() == ["  indexed   1,000", "  searched  one", "            two"]


def test_a_painted_table_is_aligned_too(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = io.StringIO()
    View(out).table([("indexed", "1"), ("", "2"), ("so", "3\n4")])
    plain = out.getvalue().replace("\x1b[2m", "").replace("\x1b[0m", "")
    assert [line.index(str(number)) for number, line in enumerate(plain.splitlines(), start=1)] == [11] * 4


def test_colour_obeys_the_environment(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert View(Terminal()).paint("x", "1") == "\x1b[1mx\x1b[0m"
    assert View(io.StringIO()).paint("x", "1") == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert View(Terminal()).paint("x", "1") == "x"
