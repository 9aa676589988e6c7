"""Networks that turn spectrograms into activations of beats and downbeats."""
