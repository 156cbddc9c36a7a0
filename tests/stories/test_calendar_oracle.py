# SPDX-License-Identifier: MIT
"""`refreshd next` against a second opinion.

The oracle below is written from the text of design section 4, not from the C code, and in another
way: it makes every expression together with a predicate (so it needs no parser), writes down every
minute of a window with what the wall clock shows at it (Python's zoneinfo), and filters.

A failure prints the seed and the command. CALENDAR_SEED and CALENDAR_CASES (per zone) choose
others.
"""
import calendar
import datetime as dt
import functools
import json
import os
import random
import subprocess
import zoneinfo

import pytest

REFRESHD = os.environ["REFRESHD"]
SEED = int(os.environ.get("CALENDAR_SEED", "20260329"))
CASES_PER_ZONE = int(os.environ.get("CALENDAR_CASES", "36"))
UTC = dt.timezone.utc
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)

ZONES = """
UTC Europe/London Europe/Dublin Europe/Berlin Europe/Bucharest Europe/Lisbon Europe/Chisinau
Antarctica/Troll Africa/Casablanca Africa/El_Aaiun Africa/Cairo Asia/Beirut Asia/Gaza
Asia/Jerusalem Asia/Kathmandu Asia/Kolkata Asia/Tehran Atlantic/Azores America/New_York
America/Havana America/Santiago America/Asuncion America/Scoresbysund America/Nuuk
America/St_Johns America/Miquelon America/Los_Angeles America/Anchorage America/Adak
Pacific/Easter Australia/Lord_Howe Australia/Sydney Australia/Adelaide Pacific/Auckland
Pacific/Chatham Pacific/Norfolk Pacific/Apia Pacific/Kiritimati Pacific/Marquesas
""".split()

MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
WEEKDAYS = "SUN MON TUE WED THU FRI SAT".split()


def run_next(expression, zone, start, count, gap="run_after", overlap="first"):
    command = [REFRESHD, "next", "--cron", expression, "--timezone", zone,
               "--from", start.strftime("%Y-%m-%dT%H:%M:%SZ"), "-n", str(count),
               "--dst-gap", gap, "--dst-overlap", overlap, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"seed {SEED}: {command}: {done.stderr}"
    rows = json.loads(done.stdout)
    assert all(row["schedule"] is None for row in rows)
    return [(row["at"], row["local"]) for row in rows], command


# --- Expressions with their meaning -----------------------------------------------------------

def shuffle_case(chooser, text):
    return "".join(chooser.choice((c.lower(), c.upper())) for c in text)


def number_item(chooser, low, high, words=None):
    """One item of a list, and the set of values it stands for."""
    def show(value):
        if words and chooser.random() < 0.4:
            return shuffle_case(chooser, words[value - low])
        return str(value)

    kind = chooser.random()
    first = chooser.randint(low, high)
    if kind < 0.5:
        return show(first), {first}
    last = chooser.randint(first, high)
    if kind < 0.75:
        return f"{show(first)}-{show(last)}", set(range(first, last + 1))
    step = chooser.randint(1, high - low + 1)
    if kind < 0.9:
        return f"{show(first)}-{show(last)}/{step}", set(range(first, last + 1, step))
    return f"{first}/{step}", set(range(first, high + 1, step))


def number_field(chooser, low, high, star, words=None):
    """A whole field, its values, and whether it begins with a star."""
    if chooser.random() < star:
        if chooser.random() < 0.5:
            return "*", set(range(low, high + 1)), True
        step = chooser.randint(1, high - low + 1)
        values = set(range(low, high + 1, step))
        if chooser.random() < 0.2:
            text, more = number_item(chooser, low, high, words)
            return f"*/{step},{text}", values | more, True
        return f"*/{step}", values, True
    items = [number_item(chooser, low, high, words) for _ in range(chooser.choice((1, 1, 1, 2, 3)))]
    return ",".join(text for text, _ in items), set().union(*(v for _, v in items)), False


def last_day(date):
    return calendar.monthrange(date.year, date.month)[1]


def nearest_working_day(year, month, day):
    """The Monday to Friday closest to a day of that month; ties cannot happen."""
    best = [d for d in range(1, calendar.monthrange(year, month)[1] + 1)
            if dt.date(year, month, d).weekday() < 5]
    return min(best, key=lambda d: abs(d - day))


def day_item(chooser):
    """One item of day-of-month beyond numbers: text and predicate over a date."""
    kind = chooser.randrange(5)
    n = chooser.randint(1, 30)
    if kind == 0:
        return "L", lambda date: date.day == last_day(date)
    if kind == 1:
        return f"L-{n}", lambda date: date.day == last_day(date) - n
    if kind == 2:
        return f"{n}W", lambda date: (n <= last_day(date) and
                                     date.day == nearest_working_day(date.year, date.month, n))
    if kind == 3:
        return "LW", lambda date: date.day == nearest_working_day(date.year, date.month,
                                                                 last_day(date))
    return f"L-{n}W", lambda date: (last_day(date) - n >= 1 and date.day == nearest_working_day(
        date.year, date.month, last_day(date) - n))


def day_field(chooser):
    if chooser.random() < 0.15:
        return "?", lambda date: True, True
    if chooser.random() < 0.3:
        items = [day_item(chooser) for _ in range(chooser.choice((1, 1, 2)))]
        text = ",".join(t for t, _ in items)
        text = shuffle_case(chooser, text)
        if chooser.random() < 0.3:
            day = chooser.randint(1, 31)
            items.append((str(day), lambda date: date.day == day))
            text += f",{day}"
        return text, lambda date: any(p(date) for _, p in items), False
    text, values, is_star = number_field(chooser, 1, 31, 0.6)
    return text, lambda date: date.day in values, is_star


def cron_weekday(date):
    return (date.weekday() + 1) % 7


def weekday_item(chooser):
    weekday = chooser.randint(0, 6)
    shown = chooser.choice((str(weekday or chooser.choice((0, 7))),
                            shuffle_case(chooser, WEEKDAYS[weekday])))
    if chooser.random() < 0.5:
        return shown + chooser.choice("Ll"), lambda date: (
            cron_weekday(date) == weekday and date.day > last_day(date) - 7)
    nth = chooser.randint(1, 5)
    return f"{shown}#{nth}", lambda date: (
        cron_weekday(date) == weekday and (date.day + 6) // 7 == nth)


def weekday_field(chooser):
    if chooser.random() < 0.15:
        return "?", lambda date: True, True
    if chooser.random() < 0.25:
        items = [weekday_item(chooser) for _ in range(chooser.choice((1, 1, 2)))]
        return ",".join(t for t, _ in items), lambda date: any(p(date) for _, p in items), False
    if chooser.random() < 0.1:
        return "5-7", lambda date: cron_weekday(date) in (5, 6, 0), False
    text, values, is_star = number_field(chooser, 0, 6, 0.6, WEEKDAYS)
    return text, lambda date: cron_weekday(date) in values, is_star


class Expression:
    """A random expression as text, and what it means."""

    def __init__(self, chooser):
        has_seconds = chooser.random() < 0.25
        # Hours that clock changes touch are chosen more often than others.
        if chooser.random() < 0.5:
            hours = sorted(chooser.sample((0, 1, 2, 3, 23), chooser.choice((1, 1, 2, 3))))
            hour_text, self.hours, self.follows_clock = ",".join(map(str, hours)), set(hours), False
        else:
            hour_text, self.hours, self.follows_clock = number_field(chooser, 0, 23, 0.5)
        minute_text, self.minutes, _ = number_field(chooser, 0, 59, 0.3)
        if chooser.random() < 0.5:
            minutes = sorted(chooser.sample((0, 15, 30, 45, 59), chooser.choice((1, 1, 2))))
            minute_text, self.minutes = ",".join(map(str, minutes)), set(minutes)
        # A set of at most two seconds keeps the lists short.
        seconds = sorted(chooser.sample(range(60), chooser.choice((1, 2)))) if has_seconds else [0]
        self.seconds = seconds
        day_text, self.day, day_star = day_field(chooser)
        month_text, self.months, _ = number_field(chooser, 1, 12, 0.8, MONTHS)
        weekday_text, self.weekday, weekday_star = weekday_field(chooser)
        self.both_days = day_star or weekday_star
        fields = [minute_text, hour_text, day_text, month_text, weekday_text]
        if has_seconds:
            fields.insert(0, ",".join(map(str, seconds)))
        self.text = " ".join(fields)

    def has_day(self, date):
        if date.month not in self.months:
            return False
        by_day, by_weekday = self.day(date), self.weekday(date)
        return (by_day and by_weekday) if self.both_days else (by_day or by_weekday)

    def has_minute(self, local):
        return local.hour in self.hours and local.minute in self.minutes and self.has_day(
            local.date())


# --- Windows ----------------------------------------------------------------------------------

def wall(zone, instant):
    return instant.astimezone(zone).replace(tzinfo=None)


@functools.lru_cache(maxsize=None)
def changes(name):
    """Every minute in 2026 to 2028 at which the clocks of a zone are changed."""
    zone = zoneinfo.ZoneInfo(name)
    found = []
    before = dt.datetime(2026, 1, 1, tzinfo=UTC)
    while before < dt.datetime(2029, 1, 1, tzinfo=UTC):
        after = before + DAY / 4
        if before.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            found += [t for t in (before + n * MINUTE for n in range(1, 361))
                      if t.astimezone(zone).utcoffset() !=
                      (t - MINUTE).astimezone(zone).utcoffset()]
        before = after
    return found


class Window:
    """Some days of a zone, minute by minute."""

    def __init__(self, name, start, days):
        self.zone = zoneinfo.ZoneInfo(name)
        self.start, self.end = start, start + days * DAY
        minutes = [start - DAY + n * MINUTE for n in range((days + 2) * 1440)]
        self.shown = [(t, wall(self.zone, t)) for t in minutes]
        self.gaps = [(local + MINUTE, self.shown[i + 1]) for i, (_, local) in
                     enumerate(self.shown[:-1]) if self.shown[i + 1][1] > local + MINUTE]

    def fires(self, expression, gap, overlap):
        found = set()
        seen = set()
        for instant, local in self.shown:
            if not expression.has_minute(local):
                continue
            if not expression.follows_clock and overlap == "first" and local in seen:
                continue
            seen.add(local)
            found.update(instant + dt.timedelta(seconds=s) for s in expression.seconds)
        if not expression.follows_clock and gap == "run_after":
            for missing, (gap_end, first_after) in self.gaps:
                while missing < first_after:
                    if expression.has_minute(missing):
                        found.add(gap_end)
                    missing += MINUTE
        return sorted(t for t in found if self.start < t <= self.end)


@functools.lru_cache(maxsize=None)
def windows(name):
    centres = changes(name) or [dt.datetime(2026, 3, 29, 1, tzinfo=UTC),
                                dt.datetime(2028, 2, 29, 12, tzinfo=UTC)]
    # Two days before a change to two days after it.
    return [Window(name, centre - 2 * DAY, 4) for centre in centres]


def show(zone, instants):
    return [(t.strftime("%Y-%m-%dT%H:%M:%SZ"), t.astimezone(zone).isoformat()) for t in instants]


@pytest.mark.parametrize("name", ZONES)
def test_random_expressions_agree_around_clock_changes(name):
    chooser = random.Random(f"{SEED} {name}")
    compared = 0
    for case in range(CASES_PER_ZONE):
        window = windows(name)[case % len(windows(name))]
        gap = chooser.choice(("run_after", "skip"))
        overlap = chooser.choice(("first", "both"))
        for _ in range(50):
            expression = Expression(chooser)
            expected = window.fires(expression, gap, overlap)
            if expected:
                break
        rows, command = run_next(expression.text, name, window.start, len(expected) + 1, gap,
                                 overlap)
        assert rows[:len(expected)] == show(window.zone, expected), f"seed {SEED}: {command}"
        if len(rows) > len(expected):
            assert rows[-1] > show(window.zone, [window.end])[0], f"seed {SEED}: {command}"
        compared += len(expected)
    assert compared > CASES_PER_ZONE


RARE = ["0 12 29 2 *", "0 12 29 2 */7", "30 4 ? * 1#5", "0 12 LW 2,11 ?", "15 6 31W * *",
        "0 12 L-29 * *", "5 5 13 * 5", "0 0 12 */29 3 MON", "45 23 ? 12 FRIL", "0 9 1 1 */2",
        "0 12 5/9 6/3 2/3", "59 59 23 L 12 ?"]
RARE_DAYS = {
    "0 12 29 2 *": lambda d: (d.month, d.day) == (2, 29),
    "0 12 29 2 */7": lambda d: (d.month, d.day) == (2, 29) and d.weekday() == 6,
    "30 4 ? * 1#5": lambda d: d.weekday() == 0 and d.day > 28,
    "0 12 LW 2,11 ?": lambda d: d.month in (2, 11) and
                                d.day == nearest_working_day(d.year, d.month, last_day(d)),
    "15 6 31W * *": lambda d: last_day(d) == 31 and
                              d.day == nearest_working_day(d.year, d.month, 31),
    "0 12 L-29 * *": lambda d: d.day == last_day(d) - 29,
    "5 5 13 * 5": lambda d: d.day == 13 or d.weekday() == 4,
    "0 0 12 */29 3 MON": lambda d: d.month == 3 and d.day in (1, 30) and d.weekday() == 0,
    "45 23 ? 12 FRIL": lambda d: d.month == 12 and d.weekday() == 4 and d.day > 24,
    "0 9 1 1 */2": lambda d: (d.month, d.day) == (1, 1) and d.weekday() in (6, 1, 3, 5),
    "0 12 5/9 6/3 2/3": lambda d: d.month in (6, 9, 12) and
                                  (d.day in (5, 14, 23) or d.weekday() in (1, 4)),
    "59 59 23 L 12 ?": lambda d: (d.month, d.day) == (12, 31),
}
RARE_TIMES = {"30 4 ? * 1#5": (4, 30, 0), "15 6 31W * *": (6, 15, 0), "5 5 13 * 5": (5, 5, 0),
              "45 23 ? 12 FRIL": (23, 45, 0), "0 9 1 1 */2": (9, 0, 0),
              "59 59 23 L 12 ?": (23, 59, 59)}


@pytest.mark.parametrize("expression", RARE)
def test_rare_expressions_agree_for_a_century(expression):
    """Times of day that no clock change touches, so only the dates matter: well beyond 2038."""
    zone = zoneinfo.ZoneInfo("Europe/Dublin")
    date, end = dt.date(2026, 1, 1), dt.date(2126, 1, 1)
    expected = []
    while date < end:
        if RARE_DAYS[expression](date):
            time = dt.time(*RARE_TIMES.get(expression, (12, 0, 0)))
            expected.append(dt.datetime.combine(date, time, tzinfo=zone).astimezone(UTC))
        date += DAY
    assert expected
    rows, command = run_next(expression, "Europe/Dublin", dt.datetime(2026, 1, 1, tzinfo=UTC),
                             len(expected))
    assert rows == show(zone, expected), command


@pytest.mark.parametrize("every, seconds", [("90s", 90), ("7m", 420), ("6h", 21600), ("7d", 604800),
                                            ("36500d", 36500 * 86400)])
def test_every_counts_from_the_epoch_in_any_zone(every, seconds):
    start = dt.datetime(2026, 3, 29, 0, 0, 0, tzinfo=UTC)
    zone = zoneinfo.ZoneInfo("Europe/London")
    first = (int(start.timestamp()) // seconds + 1) * seconds
    expected = [dt.datetime.fromtimestamp(first + n * seconds, UTC) for n in range(20)]
    rows, _ = run_next(f"@every {every}", "Europe/London", start, 20)
    assert rows == show(zone, expected)
