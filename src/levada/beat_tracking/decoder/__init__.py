"""Decoding of activations into beats: a semi-Markov bar-pointer model with posteriors and hints.

- `decode_beats`: the most probable beats, their positions in the bar and a confidence for each.
- `posteriors`: the probability of a beat and of a downbeat at every frame.
- `sample_beats`: readings of a recording, sampled from the posterior.
- `pick_peaks`: peak picking, without a model.
- `DecoderSettings`, `learn_settings`: priors of tempo and metre, by default or from labels.
- `probabilities`: a network's logits as activations.
- `decode_activations`: the same as `decode_beats`, with the states of the path.
- `decode_states`, `model_posteriors`: the same for a model with another likelihood (`state_space.pattern_pointer`).

See `state_space` for the model and `recursion` for its computation.
"""

from levada.beat_tracking.decoder.decode import (
    DecodedBeats,
    decode_activations,
    decode_beats,
    decode_states,
    model_posteriors,
    posteriors,
)
from levada.beat_tracking.decoder.peaks import pick_peaks, probabilities
from levada.beat_tracking.decoder.priors import learn_settings
from levada.beat_tracking.decoder.sampling import sample_beats
from levada.beat_tracking.decoder.settings import DecoderSettings

__all__ = [
    "DecodedBeats", "DecoderSettings",
    "decode_activations", "decode_beats", "decode_states",
    "learn_settings", "model_posteriors", "pick_peaks", "posteriors", "probabilities",
    "sample_beats",
]  # fmt: skip
