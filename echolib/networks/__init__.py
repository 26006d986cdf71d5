"""Networks, their losses and training, and what they answer about frames."""
