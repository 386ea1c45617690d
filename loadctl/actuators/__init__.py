"""Actuators, one file per device family. Each takes a `Command` and tells in a `Report` what really happened."""

ACTUATORS = {
    "gpio": "loadctl.actuators.gpio:Gpio",
    "shelly": "loadctl.actuators.shelly:Shelly",
}
