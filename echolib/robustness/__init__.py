"""Networks on images that got worse, compared, and how far each answer can be trusted."""
