"""What the owner is told."""
