"""What the program energy prints: published crossings, networks that ship, and C."""
