"""Look for better rules on recorded days, and propose only what days that were held back confirm."""
