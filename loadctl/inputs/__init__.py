"""Inputs, one file per kind of source. Each gives one number that conditions can ask for by name."""

INPUTS = {
    "http-json": "loadctl.inputs.http_json:HttpJson",
}
