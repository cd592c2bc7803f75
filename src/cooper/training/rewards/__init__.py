"""Rewards of reinforcement learning: pure functions of one question and its group of traces."""
