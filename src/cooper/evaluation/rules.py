"""The version of the rules that read replies, which a run remembers: rows read by other rules are read again before they
count."""

RULES_VERSION = 1
