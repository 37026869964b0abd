"""What `dr bench` measures: one module a measurement."""
