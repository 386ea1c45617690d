"""Meters, one file per device family. Each takes bytes off the LAN and gives a `Sample`."""

METERS = {
    "envoy": "loadctl.meters.envoy:Envoy",
}
