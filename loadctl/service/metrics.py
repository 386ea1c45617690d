"""What Prometheus is told. The core emits one frozen outcome per tick; only this file knows Prometheus.

What is not known has no sample; 0 would be a lie. Gauges are read off the last outcome when they are asked for, so that
a tick costs next to nothing.
"""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

import loadctl
from loadctl.core.appliance import tallied
from loadctl.core.calendar import midnight
from loadctl.core.rules import Load
from loadctl.core.values import OFF, ON, Away, Outcome, Phase, Standing, Tick, Verdict
from loadctl.service.daemon import Daemon
from loadctl.service.energy import Origin
from loadctl.service.hands import mode_of, modes
from loadctl.telling.explain import explain


class Row(NamedTuple):
    """One metric: its name without the prefix `loadctl_`, its type, labels and help text."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str


METRICS = (
    Row("build_info", "gauge", ("version", "python"), "Always 1; what is running."),
    Row("grid_power_watts", "gauge", (), "Power from (+) or to (-) the grid."),
    Row("pv_power_watts", "gauge", (), "Power of the solar panels."),
    Row("house_power_watts", "gauge", (), "Power of the whole house, controlled loads included, battery taken out."),
    Row("battery_power_watts", "gauge", (), "Power from (+) or to (-) the battery."),
    Row("battery_charge_ratio", "gauge", (), "How full the battery is, 0 to 1."),
    Row("surplus_power_watts", "gauge", (), "Power free for all loads together, what they draw now included."),
    Row("expected_surplus_joules", "gauge", (), "Energy that the sun is expected to leave until midnight."),
    Row("import_price_per_kwh", "gauge", (), "What a kWh from the grid costs now."),
    Row("export_price_per_kwh", "gauge", (), "What a kWh to the grid earns now."),
    Row("input_value", "gauge", ("input",), "Value of a named input in its base unit; yes is 1, no is 0."),
    Row("input_age_seconds", "gauge", ("input",), "Age of the last value of a named input."),
    Row("away", "gauge", (), "1 while nobody is at home and needs wait."),
    Row("reading_age_seconds", "gauge", (), "Age of the last reading of the meter."),
    Row("blind", "gauge", (), "1 while there is no reading to trust."),
    Row("grid_up", "gauge", (), "1 while the public grid is there, 0 in an outage."),
    Row("meter_readings_total", "counter", (), "Readings that the meter gave."),
    Row("meter_errors_total", "counter", ("kind",), "Readings that the meter did not give, by what went wrong."),
    Row("appliance_phase", "gauge", ("appliance", "phase"), "1 for the phase that the appliance is in, 0 for others."),
    Row("appliance_verdict", "gauge", ("appliance", "verdict"), "1 for the verdict that holds now, 0 for others."),
    Row("appliance_mode", "gauge", ("appliance", "mode"), "1 for the mode that it is in, 0 for others."),
    Row("appliance_power_watts", "gauge", ("appliance",), "What it draws: measured, else learned, else by the rules."),
    Row("appliance_target_power_watts", "gauge", ("appliance",), "What it is set to draw, if it has a range of power."),
    Row("appliance_phases", "gauge", ("appliance",), "On how many phases it charges: measured, else as it was set."),
    Row("appliance_phase_changes_today", "gauge", ("appliance",), "How often it changed between phases today."),
    Row("appliance_price_limit_per_kwh", "gauge", ("appliance",), "What it pays for a kWh now at most, if it says so."),
    Row("appliance_spare_power_watts", "gauge", ("appliance",), "Power that it could start on, or has left while on."),
    Row("appliance_next_change_seconds", "gauge", ("appliance",), "Earliest moment at which its verdict could change."),
    Row("appliance_starts_total", "counter", ("appliance",), "How often it was switched on."),
    Row("appliance_on_seconds_total", "counter", ("appliance",), "How long it has been on."),
    Row("appliance_energy_joules_total", "counter", ("appliance",), "Energy that it has used."),
    Row("appliance_source_joules_total", "counter", ("appliance", "source"), "Energy since the start: sun or grid."),
    Row("appliance_session_joules", "gauge", ("appliance",), "What the car has had since it was plugged in."),
    Row("appliance_session_sun_ratio", "gauge", ("appliance",), "Which part of that came from the sun, 0 to 1."),
    Row("appliance_starts_today", "gauge", ("appliance",), "How often it was switched on today."),
    Row("appliance_lease_seconds", "gauge", ("appliance",), "How long it stays on without us; 0: it has none."),
    Row("appliance_lease_left_seconds", "gauge", ("appliance",), "How much of its lease is left while it is on."),
    Row("appliance_needs_missed_total", "counter", ("appliance",), "Needs that were not met by their time."),
    Row("lease_renewals_failed_total", "counter", ("appliance",), "Attempts to renew its lease that failed."),
    Row("decisions_total", "counter", ("appliance", "verdict"), "Changes to this verdict."),
    Row("commands_total", "counter", ("appliance", "outcome"), "Commands by what became of them."),
    Row("command_duration_seconds", "histogram", ("appliance",), "From deciding a command to its answer."),
    Row("tick_lateness_seconds", "histogram", (), "How late the regular tick came."),
    Row("ticks_total", "counter", (), "Decisions taken."),
    Row("energy_joules_total", "counter", ("flow",), "Energy since the start: import, export, production and so on."),
    Row("memory_up", "gauge", (), "1 while what happens is written down, 0 while the disk does not take it."),
    Row("rules_reload_success", "gauge", (), "1 if the rules in force are those of the file as last read."),
    Row("rules_reload_timestamp_seconds", "gauge", (), "When the rules in force were read."),
)  # fmt: skip

OUTCOMES = ("confirmed", "refused", "unreachable", "garbled", "superseded")
COMMAND_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LATENESS_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

Values = dict[tuple[str, ...], float]


def markdown() -> str:
    """Return the table of all metrics for the README."""
    rows = ["| metric | type | labels | what it tells |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `loadctl_{row.name}` | {row.type} | {', '.join(f'`{label}`' for label in row.labels)} | {row.help} |"
        for row in METRICS
    ]
    return "\n".join(rows)


@dataclass(slots=True)
class _Histogram:
    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        cumulative = [sum(self.counts[: index + 1]) for index in range(len(self.counts))]
        return list(zip([*map(str, self.bounds), "+Inf"], map(float, cumulative), strict=True))


class Metrics:
    """An observer of the daemon and a collector of its own registry."""

    def __init__(self, daemon: Daemon) -> None:
        self.registry = CollectorRegistry()
        self._daemon = daemon
        self._last: tuple[Tick, Outcome] | None = None
        self._verdicts: dict[str, Verdict] = {}
        self._ticks = 0
        self._lateness = _Histogram(LATENESS_BUCKETS_S)
        self._decisions: Counter[tuple[str, str]] = Counter()
        self._answers: Counter[tuple[str, str]] = Counter()
        self._durations: dict[str, _Histogram] = {}
        self._sent: dict[str, tuple[int, float]] = {}  # load -> its last command and when it was decided
        self.registry.register(self)

    def __call__(self, tick: Tick, outcome: Outcome) -> None:
        self._last = (tick, outcome)
        self._ticks += 1
        if self._daemon.late_s is not None:
            self._lateness.observe(self._daemon.late_s)
        for report in tick.reports:
            if report.command_id is None:
                continue
            self._answers[report.load, report.error or "confirmed"] += 1
            command_id, sent_at = self._sent.get(report.load, (None, 0.0))
            if command_id == report.command_id:
                self._durations.setdefault(report.load, _Histogram(COMMAND_BUCKETS_S)).observe(tick.at - sent_at)
        for command in outcome.commands:
            self._sent[command.load] = (command.id, tick.at)
        for load, verdict in zip(self._daemon.house.site.loads, outcome.verdicts, strict=True):
            if self._verdicts.get(load.name) is not verdict:
                self._verdicts[load.name] = verdict
                self._decisions[load.name, verdict] += 1

    def collect(self) -> Iterator[Metric]:
        values = self._values()
        for row in METRICS:
            name, labels = f"loadctl_{row.name}", row.labels
            if row.type == "histogram":
                yield self._histogram(name, row)
                continue
            family = (CounterMetricFamily if row.type == "counter" else GaugeMetricFamily)(
                name, row.help, labels=labels
            )
            for label_values, value in values.get(row.name, {}).items():
                family.add_metric(label_values, value)
            yield family

    def describe(self) -> list[Metric]:
        """Nothing to say at registration: the registry is our own."""
        return []

    def _histogram(self, name: str, row: Row) -> HistogramMetricFamily:
        family = HistogramMetricFamily(name, row.help, labels=row.labels)
        known = {(load,): kept for load, kept in self._durations.items()} if row.labels else {(): self._lateness}
        for label_values, histogram in known.items():
            family.add_metric(label_values, histogram.buckets(), histogram.total)
        return family

    def _values(self) -> dict[str, Values]:
        daemon = self._daemon
        names = [load.name for load in daemon.house.site.loads]
        answers: Values = {(name, outcome): 0.0 for name in names for outcome in OUTCOMES}
        answers |= {key: float(n) for key, n in self._answers.items()}
        answers |= {(load, "superseded"): float(n) for load, n in daemon.switchboard.counts.superseded.items()}
        decisions: Values = {(name, word): 0.0 for name in names for word in Verdict}
        decisions |= {key: float(n) for key, n in self._decisions.items()}
        values: dict[str, Values] = {
            "build_info": {(loadctl.__version__, platform.python_version()): 1.0},
            "meter_readings_total": {(): float(daemon.reader.readings)},
            "meter_errors_total": {(kind,): float(n) for kind, n in daemon.reader.errors.items()},
            "ticks_total": {(): float(self._ticks)},
            "decisions_total": decisions,
            "commands_total": answers,
            "rules_reload_success": {(): float(daemon.reload_success)},
            "rules_reload_timestamp_seconds": {(): daemon.reloaded_at.timestamp()},
        }
        if daemon.memory is not None:
            values["memory_up"] = {(): float(daemon.memory.up)}
            values["energy_joules_total"] = {(flow,): wh * 3600 for flow, wh in daemon.memory.energy_wh.items()}
        values["appliance_source_joules_total"] = {
            (name, source): wh * 3600
            for name in names
            for source, wh in daemon.energy.origins.get(name, Origin()).parts.items()
        }
        if self._last is None:
            return values
        tick, outcome = self._last
        values |= _house_values(daemon, tick, outcome)
        if len(outcome.verdicts) != len(daemon.house.site.loads):
            return values  # between new rules and the first tick under them
        for index, load in enumerate(daemon.house.site.loads):
            for name, more in _load_values(daemon, tick, outcome, index, load).items():
                values.setdefault(name, {}).update(more)
        return values


def _house_values(daemon: Daemon, tick: Tick, outcome: Outcome) -> dict[str, Values]:
    now = daemon.clock.now()
    age_s = None if tick.sample is None else now - tick.sample.read_at
    # A reading that is too old is none: the last value would draw a straight line through an outage.
    sample = tick.sample if tick.sample is not None and age_s is not None and age_s <= tick.sample.max_age_s else None
    outlook = tick.outlook
    known: dict[str, float | None] = {
        "surplus_power_watts": outcome.surplus_w,
        "expected_surplus_joules": _expected_j(tick),
        "import_price_per_kwh": outlook.import_price,
        "export_price_per_kwh": outlook.export_price,
        "away": float(any(isinstance(wish, Away) for wish in tick.wishes)),
        "blind": float(outcome.state.blind_since is not None),
        "grid_power_watts": sample.grid_w if sample else None,
        "pv_power_watts": sample.pv_w if sample else None,
        "house_power_watts": sample.load_w if sample else None,
        "battery_power_watts": sample.battery_w if sample else None,
        "battery_charge_ratio": sample.soc_pct / 100 if sample and sample.soc_pct is not None else None,
        "reading_age_seconds": age_s,
        "grid_up": float(sample.grid_up) if sample and sample.grid_up is not None else None,
    }
    values: dict[str, Values] = {name: {(): value} for name, value in known.items() if value is not None}
    inputs = daemon.inputs.latest
    values["input_age_seconds"] = {(name,): now - each.read_at for name, each in inputs.items()}
    values["input_value"] = {
        (name,): each.value for name, each in inputs.items() if now - each.read_at <= each.max_age_s
    }
    return values


def _expected_j(tick: Tick) -> float | None:
    """Return what the sun is expected to leave until midnight; None: nobody knows."""
    now = tick.wall.timestamp()
    end_of_day = midnight(tick.wall)
    known = [slot for slot in tick.outlook.slots if slot.surplus_w is not None and slot.start < end_of_day]
    if not known:
        return None
    ends = ((slot, min(slot.start + slot.length_s, end_of_day)) for slot in known)
    return sum((slot.surplus_w or 0.0) * max(0.0, end - max(slot.start, now)) for slot, end in ends)


def _load_values(daemon: Daemon, tick: Tick, outcome: Outcome, index: int, load: Load) -> dict[str, Values]:
    standing, verdict = outcome.state.standings[index], outcome.verdicts[index]
    mailbox = daemon.switchboard.mailboxes.get(load.name)
    tally = tallied(load, standing, tick.at)
    plan = outcome.state.plan(index)
    prices = [price for price in (plan.price, load.worth) if price is not None]
    session = daemon.energy.sessions.get(load.name)
    follows = load.follow is not None and standing.phase is ON
    mode = mode_of(tick.wishes, load)
    known = {
        "appliance_target_power_watts": standing.target_w if follows else None,
        "appliance_phases": standing.using or standing.phases if follows else None,
        "appliance_phase_changes_today": float(standing.phase_changes) if load.follow is not None else None,
        "appliance_price_limit_per_kwh": max(prices, default=None),
        "appliance_session_joules": session.had.wh * 3600 if session is not None else None,
        "appliance_session_sun_ratio": session.had.sun_share if session is not None else None,
        "appliance_power_watts": _power_w(load, standing),
        "appliance_spare_power_watts": outcome.spare_w[index] if index < len(outcome.spare_w) else None,
        "appliance_next_change_seconds": explain(daemon.house.site, outcome, tick, index).next_change_s,
        "appliance_starts_total": float(tally.starts),
        "appliance_on_seconds_total": tally.runtime_s,
        "appliance_energy_joules_total": tally.energy_wh * 3600,
        "appliance_starts_today": float(tally.starts - standing.today.starts),
        "appliance_needs_missed_total": float(standing.needs_missed),
        "appliance_lease_seconds": None if mailbox is None else mailbox.actuator.lease_s or 0.0,
        "appliance_lease_left_seconds": None if mailbox is None else mailbox.lease_left_s(),
        "lease_renewals_failed_total": float(daemon.switchboard.counts.unrenewed[load.name]),
    }
    values: dict[str, Values] = {name: {(load.name,): value} for name, value in known.items() if value is not None}
    values["appliance_mode"] = {(load.name, word): float(mode is word) for word in modes(load)}
    values["appliance_phase"] = {(load.name, phase): float(standing.phase is phase) for phase in Phase}
    values["appliance_verdict"] = {(load.name, word): float(verdict is word) for word in Verdict}
    return values


def _power_w(load: Load, standing: Standing) -> float | None:
    if standing.measured_w is not None:
        return standing.measured_w
    if standing.phase is OFF:
        return 0.0
    if standing.phase is ON:
        return load.power_w if standing.learned_w is None else standing.learned_w
    return None  # on its way or broken: not known
