"""Files in and out: audio, annotations, output folders, and processes of this machine."""
