"""Parameters of the fold network: record files, their layout, checks and conversion."""
