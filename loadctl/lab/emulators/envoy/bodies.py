"""What an Envoy of any firmware shows of a house: one pure function per page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

PRODUCTION_EID, CONSUMPTION_EID, STORAGE_EID = 704643328, 704643584, 704643840
VOLTS = 235.0

Consumption = Literal["net-consumption", "total-consumption"]


@dataclass(slots=True)
class Household:
    """The live values and what is installed. + import, + discharging."""

    pv_w: float = 0.0
    grid_w: float = 300.0
    battery_w: float = 0.0
    soc_pct: float = 50.0
    phases: int = 1
    production_ct: bool = True
    consumption_ct: Consumption | None = "net-consumption"
    storage_ct: bool = False
    batteries: int = 0
    ac_batteries: int = 0
    controller: bool = False  # a system controller, which can part the house from the grid
    relay: str = "closed"
    generator: str | None = None  # "open" or "closed"
    panels: int = 12
    statuses: list[str] = field(default_factory=lambda: ["envoy.global.ok"])

    @property
    def total_w(self) -> float:
        """What the Envoy calls total-consumption: a charging battery is in it, a discharging one hidden."""
        return self.pv_w + self.grid_w


def info(firmware: str, serial: str, at: float, *, imeter: bool | None, tokens: bool) -> str:
    """`/info`: XML, shown to everybody."""
    metered = "" if imeter is None else f"<imeter>{str(imeter).lower()}</imeter>"
    wants = "<web-tokens>true</web-tokens>" if tokens else ""
    return (
        f"<?xml version='1.0' encoding='UTF-8'?>\n<envoy_info>\n  <time>{int(at)}</time>\n  <device>\n"
        f"    <sn>{serial}</sn>\n    <pn>800-00000-r00</pn>\n    <software>{firmware}</software>\n"
        f"    <euaid>0</euaid>\n"
        f"    <seqnum>0</seqnum>\n    <apiver>1</apiver>\n    {metered}\n  </device>\n  {wants}\n</envoy_info>\n"
    )


def meters(house: Household) -> list[dict[str, Any]]:
    """`/ivp/meters`: CTs that are not fitted are listed as disabled."""
    kinds = [(PRODUCTION_EID, "production", house.production_ct)]
    kinds.append((CONSUMPTION_EID, house.consumption_ct or "net-consumption", house.consumption_ct is not None))
    if house.storage_ct:
        kinds.append((STORAGE_EID, "storage", True))
    return [
        {
            "eid": eid,
            "state": "enabled" if on else "disabled",
            "measurementType": kind,
            "phaseMode": "split" if house.phases == 2 else "three",
            "phaseCount": house.phases,
            "meteringStatus": "normal",
            "statusFlags": [],
        }
        for eid, kind, on in kinds
    ]


def readings(house: Household, at: float) -> list[dict[str, Any]]:
    """`/ivp/meters/readings`."""
    consumption_w = house.total_w if house.consumption_ct == "total-consumption" else house.grid_w
    powers = [(PRODUCTION_EID, house.pv_w), (CONSUMPTION_EID, consumption_w)]
    if house.storage_ct:
        powers.append((STORAGE_EID, house.battery_w))
    return [
        _reading(eid, power_w, at, house.phases)
        | {"channels": [_reading(eid + 1 + leg, share, at, 1) for leg, share in enumerate(_legs(house, power_w))]}
        for eid, power_w in powers
    ]


def production(house: Household, at: float, *, details: bool, typed: bool = True) -> dict[str, Any]:
    """`/production.json`; firmware 4.2 gives its entries no `measurementType`."""

    def eim(kind: str, power_w: float, on: bool) -> dict[str, Any]:
        entry = {"type": "eim", "activeCount": int(on), "measurementType": kind, "readingTime": int(at)}
        entry |= _figures(power_w, at, house.phases)
        if details:
            entry["lines"] = [_figures(share, at, 1) for share in _legs(house, power_w)[: house.phases]]
        if not typed:
            entry.pop("measurementType")
        return entry

    metered = house.consumption_ct is not None
    consumption = [
        eim("total-consumption", house.total_w, metered),
        eim("net-consumption", house.grid_w, metered),
    ]
    if not typed:
        consumption = consumption[int(house.consumption_ct == "net-consumption") :][:1]
    battery = {
        "type": "acb",
        "activeCount": house.ac_batteries,
        "readingTime": 0,
        "wNow": 0,
        "whNow": 0,
        "state": "idle",
    }
    if house.ac_batteries:
        state = "discharging" if house.battery_w > 0 else "charging" if house.battery_w < 0 else "idle"
        battery |= {"readingTime": int(at), "wNow": round(house.battery_w), "state": state}
        battery |= {"whNow": 12 * round(house.soc_pct), "percentFull": round(house.soc_pct)}
    return {
        "production": [
            {
                "type": "inverters",
                "activeCount": house.panels,
                "readingTime": int(at) // 300 * 300,
                "wNow": max(0, round(house.pv_w)),
                "whLifetime": 12_000_000 + int(at) // 1000,
            },
            eim("production", house.pv_w, house.production_ct),
        ],
        "consumption": consumption,
        "storage": [battery],
    }


def v1(house: Household) -> dict[str, Any]:
    """`/api/v1/production`."""
    return {
        "wattHoursToday": 9100,
        "wattHoursSevenDays": 81_000,
        "wattHoursLifetime": 12_000_000,
        "wattsNow": max(0, round(house.pv_w)),
    }


def page(house: Household) -> str:
    """`/production` of firmware 3.x."""
    return (
        "<h1>System Energy Production</h1><table><tr><td>Currently</td>"
        f"    <td>  {max(0.0, house.pv_w) / 1000:.2f} kW</td></tr><tr><td>Today</td>     <td> 9.1 kWh</td></tr></table>"
    )


def inverters(house: Household, at: float) -> list[dict[str, Any]]:
    """`/api/v1/production/inverters`."""
    share = max(0, round(house.pv_w / max(1, house.panels)))
    return [
        {
            "serialNumber": f"9911000000{number:02}",
            "lastReportDate": int(at) // 300 * 300,
            "devType": 1,
            "lastReportWatts": share,
            "maxReportWatts": 290,
        }
        for number in range(house.panels)
    ]


def inventory(house: Household, at: float) -> list[dict[str, Any]]:
    """`/inventory.json`."""
    return [
        {
            "type": "PCU",
            "devices": [
                {
                    "serial_num": panel["serialNumber"],
                    "device_status": house.statuses,
                    "last_rpt_date": str(panel["lastReportDate"]),
                    "admin_state": 1,
                    "producing": panel["lastReportWatts"] > 0,
                    "communicating": True,
                }
                for panel in inverters(house, at)
            ],
        }
    ]


def frame(house: Household) -> dict[str, Any]:
    """One frame of `/stream/meter`."""
    powers = {"production": house.pv_w, "net-consumption": house.grid_w, "total-consumption": house.total_w}
    return {
        kind: {
            f"ph-{leg}": {
                "p": round(share, 3),
                "q": 0.0,
                "s": round(abs(share), 3),
                "v": VOLTS,
                "i": 1.0,
                "pf": 1.0,
                "f": 50.0,
            }
            for leg, share in zip("abc", _legs(house, power_w), strict=True)
        }
        for kind, power_w in powers.items()
    }


def livedata(house: Household, at: float, *, on: bool) -> dict[str, Any]:
    """`/ivp/livedata/status`."""
    load_w = house.total_w + house.battery_w
    powers = {"pv": house.pv_w, "storage": house.battery_w, "grid": house.grid_w, "load": load_w, "generator": 0.0}

    def milli(power_w: float) -> dict[str, int]:
        shares = zip("abc", _legs(house, power_w), strict=True)
        phases = {f"agg_p_ph_{leg}_mw": round(1000 * share) for leg, share in shares}
        return {"agg_p_mw": round(1000 * power_w), "agg_s_mva": round(1000 * abs(power_w))} | phases

    return {
        "connection": {"mqtt_state": "connected", "auth_state": "ok", "sc_stream": "enabled" if on else "disabled"},
        "meters": {
            "last_update": int(at),
            "soc": round(house.soc_pct) if house.batteries else 0,
            "main_relay_state": 1,
            "gen_relay_state": 5,
            "is_split_phase": int(house.phases == 2),
            "phase_count": house.phases,
            **{key: milli(power_w) for key, power_w in powers.items()},
        },
    }


def power(house: Household) -> dict[str, Any]:
    """`/ivp/ensemble/power`, with the key the boxes really use."""
    share = round(1000 * house.battery_w / max(1, house.batteries))
    return {
        "devices:": [
            {
                "serial_num": f"9922000000{number:02}",
                "real_power_mw": share,
                "apparent_power_mva": share,
                "soc": round(house.soc_pct),
            }
            for number in range(house.batteries)
        ]
    }


def secctrl(house: Household) -> dict[str, Any]:
    """`/ivp/ensemble/secctrl`: the fields are there without batteries, too."""
    capacity = 3360 * house.batteries + 1200 * house.ac_batteries
    soc = round(house.soc_pct) if capacity else 0
    acb = (
        {"ACB_agg_soc": soc, "ACB_agg_energy": 12 * soc}
        if house.ac_batteries
        else {"ACB_agg_soc": 0, "ACB_agg_energy": 0}
    )
    return {
        "shutdown": False,
        "configured_backup_soc": 20,
        "adjusted_backup_soc": 20,
        "agg_soc": soc,
        "Max_energy": capacity,
        "ENC_agg_soc": soc if house.batteries else 0,
        "ENC_agg_backup_energy": capacity // 5,
        "ENC_agg_avail_energy": capacity * soc // 100,
        "Enc_commissioned_capacity": 3360 * house.batteries,
        "Enc_max_available_capacity": 3360 * house.batteries,
        **acb,
    }


def ensemble_inventory(house: Household, at: float) -> list[dict[str, Any]]:
    """`/ivp/ensemble/inventory`."""
    device = {
        "installed": 1,
        "img_load_date": 1,
        "created_date": 1,
        "device_status": ["envoy.global.ok", "prop.done"],
        "last_rpt_date": int(at) - 90,
    }
    device |= {"communicating": True, "operating": True, "temperature": 25, "part_num": "830-00000-r00"}
    device |= {"img_pnum_running": "2.0.0", "admin_state": 6, "comm_level_sub_ghz": 5, "comm_level_2_4_ghz": 5}
    groups: list[dict[str, Any]] = []
    if house.batteries:
        battery = device | {
            "admin_state_str": "ENCHG_STATE_READY",
            "percentFull": round(house.soc_pct),
            "maxCellTemp": 25,
        }
        battery |= {"sleep_enabled": False, "led_status": 12, "dc_switch_off": False, "encharge_capacity": 3360}
        battery |= {"zigbee_dongle_fw_version": "100B", "bmu_fw_version": "2.1.0", "encharge_rev": 1}
        serials = [unit["serial_num"] for unit in power(house)["devices:"]]
        groups.append({"type": "ENCHARGE", "devices": [battery | {"serial_num": serial} for serial in serials]})
    if house.controller:
        fed = house.generator == "closed"
        states: dict[str, Any] = {
            "mains_admin_state": "closed",
            "mains_oper_state": house.relay,
            "Enpwr_grid_mode": "grid-tied",
        }
        states |= {"admin_state_str": "ENPWR_STATE_OPER_GEN_CLOSE" if fed else "ENPWR_STATE_OPER_CLOSED"}
        states |= {"Enchg_grid_mode": "multimode-ongrid", "Enpwr_relay_state_bm": 496, "Enpwr_curr_state_id": 16}
        groups.append({"type": "ENPOWER", "devices": [device | states | {"serial_num": "993300000001"}]})
    return groups


def relay(house: Household) -> dict[str, Any]:
    """`/ivp/ensemble/relay`."""
    return {
        "mains_admin_state": "closed",
        "mains_oper_state": house.relay,
        "der1_state": 0,
        "Enchg_grid_mode": "grid-tied",
    }


def generator(house: Household) -> dict[str, Any]:
    """`/ivp/ensemble/generator`."""
    state = house.generator or "open"
    return {"admin_state": state, "oper_state": state, "present": int(house.generator is not None), "type": 1}


def _legs(house: Household, power_w: float) -> list[float]:
    """Three legs; those that are not there carry nothing."""
    return [power_w / house.phases if leg < house.phases else 0.0 for leg in range(3)]


def _reading(eid: int, power_w: float, at: float, phases: int) -> dict[str, Any]:
    return {
        "eid": eid,
        "timestamp": int(at),
        "actEnergyDlvd": 2_000_000.5,
        "actEnergyRcvd": 1_000_000.25,
        "apparentEnergy": 3_000_000.0,
        "reactEnergyLagg": 0.0,
        "reactEnergyLead": 0.0,
        "instantaneousDemand": round(power_w, 3),
        "activePower": round(power_w, 3),
        "apparentPower": round(abs(power_w), 3),
        "reactivePower": 0.0,
        "pwrFactor": 1.0,
        "voltage": VOLTS * phases,  # the sum over phases, as the boxes do
        "current": round(abs(power_w) / VOLTS, 3),
        "freq": 50.0,
    }


def _figures(power_w: float, at: float, phases: int) -> dict[str, Any]:
    return {
        "wNow": round(power_w, 3),
        "whLifetime": 12_000_000.0 + int(at) // 1000,
        "varhLeadLifetime": 0.0,
        "varhLagLifetime": 0.0,
        "vahLifetime": 12_000_000.0,
        "rmsCurrent": round(abs(power_w) / VOLTS, 3),
        "rmsVoltage": VOLTS * phases,
        "reactPwr": 0.0,
        "apprntPwr": round(abs(power_w), 3),
        "pwrFactor": 1.0,
        "whToday": 9100.0,
        "whLastSevenDays": 81_000.0,
        "vahToday": 9100.0,
        "varhLeadToday": 0.0,
        "varhLagToday": 0.0,
    }
