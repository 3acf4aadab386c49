"""training: what `apps.train` is made of."""
