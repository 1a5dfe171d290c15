"""Small apps that the benchmarks load syncd with."""
