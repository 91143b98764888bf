"""What `bench/run` measures with: pinned processes, load, rounds."""
