"""The jobs: one module per rollup, the life cycle that they share, the lake, the command line."""
