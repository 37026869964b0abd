"""The parts of `dr freeze` and `dr thaw`."""
