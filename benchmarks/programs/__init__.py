"""The processes that the benchmarks of whole systems start; each is one side of one system."""
