"""Regularizers and callbacks for training source networks."""
