"""Three stages of training on existing trainers: the autoencoder, drawing maps (`amg`), and reasoning (`sft`)."""
