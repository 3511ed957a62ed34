"""What the kernels of several operators share: compilation and its cache, threads, launches."""
