"""Attribution-based augmentation: its selections, adjustments, changes and presets."""
