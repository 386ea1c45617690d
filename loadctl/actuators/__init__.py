"""Actuators, one file per device family. Each takes a `Command` and tells in a `Report` what really happened."""

ACTUATORS = {
    "go-e": "loadctl.actuators.goe:GoE",
    "gpio": "loadctl.actuators.gpio:Gpio",
    "gpio-burst": "loadctl.actuators.gpio_burst:GpioBurst",
    "shelly": "loadctl.actuators.shelly:Shelly",
    "shelly-dimmer": "loadctl.actuators.shelly:ShellyDimmer",
}
