"""The tables of docs/results.md: their rows, trainings, figures and text."""
