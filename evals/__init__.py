"""Floor 3: judging inspections and their reasoning."""
