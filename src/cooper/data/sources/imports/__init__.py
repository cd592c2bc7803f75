"""Other layouts of interleaved data, one file each: their rows become traces that stage 2 reads."""
