"""Actuators, one file per device family. Each takes a `Command` and tells in a `Report` what really happened."""

ACTUATORS = {
    "go-e": "loadctl.actuators.goe:GoE",
    "gpio": "loadctl.actuators.gpio:Gpio",
    "gpio-burst": "loadctl.actuators.gpio_burst:GpioBurst",
    "my-pv": "loadctl.actuators.mypv:MyPv",
    "openevse": "loadctl.actuators.openevse:OpenEvse",
    "ocpp": "loadctl.actuators.ocpp:Ocpp",
    "shelly": "loadctl.actuators.shelly:Shelly",
    "shelly-dimmer": "loadctl.actuators.shelly:ShellyDimmer",
}
