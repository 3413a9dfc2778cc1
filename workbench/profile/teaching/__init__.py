"""Small kernels that show one thing each: what sharing a cache line costs two threads that share nothing else."""
