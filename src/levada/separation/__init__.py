"""Source separation of ensembles: transform, networks, dictionaries, adaptation and evaluation."""
