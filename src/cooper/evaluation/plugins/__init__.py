"""Our engine inside installed evaluation kits. Each kit lives in its own environment and is imported by its file alone."""
