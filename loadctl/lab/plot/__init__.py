"""Pictures of replays: a page for the browser, or a PNG."""
