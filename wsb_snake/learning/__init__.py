"""What is learnt from real fills."""
