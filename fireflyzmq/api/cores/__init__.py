"""Cores: what stands behind a `Service`, where no name of a user's class can meet ours."""
