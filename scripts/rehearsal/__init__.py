"""The parts of a rehearsal: writers, timeline, accounting of calls, checks and the report."""
