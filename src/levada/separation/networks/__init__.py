"""Networks that turn spectra of a mixture into a mask for each instrument."""
