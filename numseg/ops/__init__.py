"""The operators, one folder each. ``docs/adding-an-operator.md`` says what a folder holds."""
