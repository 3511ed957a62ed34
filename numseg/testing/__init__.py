"""Tools to test operators: numseg's, or your own."""
