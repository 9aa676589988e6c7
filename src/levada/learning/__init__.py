"""What both tasks need to learn: the training loop, loggers, model folders and statistics."""
