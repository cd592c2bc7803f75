"""Files of reasoning, one form each: rows of pictures and words that become traces, and rows of questions."""
