"""Beats and downbeats: spectrogram, networks, decoder, patterns, adaptation and evaluation."""
