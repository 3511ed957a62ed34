"""How fast numseg is, beside what others make of the same call in the same process."""
