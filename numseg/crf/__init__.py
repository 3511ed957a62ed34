"""Dense conditional random fields."""
