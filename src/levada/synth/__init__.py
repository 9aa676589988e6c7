"""Annotated audio from descriptions: traditions, performances, instruments, rooms and recorders."""
