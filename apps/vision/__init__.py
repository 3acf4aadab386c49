"""Object detection and segmentation of digits in made scenes, for `apps.scenes`."""
