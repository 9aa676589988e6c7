"""Models by name or folder, for both tasks: load, list, adapt, pretrain and export them."""
