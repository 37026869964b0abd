"""The parts of a promotion: what is found before it, what an interrupted one left, progress, verification, evidence."""
