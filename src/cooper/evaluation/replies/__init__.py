"""Reading replies: stages from characters to an answer, each of which can say why it decided."""

RULES_VERSION = 3  # of all rules that read replies: raise it with any change of what is read; runs store it
