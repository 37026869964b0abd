"""An AWS on one's own machine, in which the real program meets a whole disaster."""
