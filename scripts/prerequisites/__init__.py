"""What must exist before any stack: the parts of `dr bootstrap`."""
