"""The HTTP side, inside the daemon's own event loop."""
