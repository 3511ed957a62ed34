"""The operators, one folder each. CONTRIBUTING.md says what a folder holds."""
