"""What programs and the page ask: JSON under /api/v1."""
