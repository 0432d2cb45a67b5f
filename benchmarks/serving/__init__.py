"""What the benchmarks of serving share: models, servers, and clients that load them."""
