"""Houses that are not there: emulated devices, a model of sun and appliances, the demo."""
