"""Traces to numbers: reading replies, scoring them, and saying how sure the figures are."""
