"""The page about one variant: what every stage cost, what was removed, and what it says now."""
