"""Decoding of activations into beats: a semi-Markov bar-pointer model with posteriors and hints.

- `decode_beats`: the most probable beats, their positions in the bar and a confidence for each.
- `posteriors`: the probability of a beat and of a downbeat at every frame.
- `pick_peaks`: peak picking, without a model.
- `DecoderSettings`, `learn_settings`: priors of tempo and metre, by default or from labels.
- `probabilities`: a network's logits as activations.
- `decode_model`, `model_posteriors`: the same for a model with another likelihood (`state_space.pattern_pointer`).
- `decode_activations`, `decode_states`: the same as `decode_beats` and `decode_model`, with the states of the path.

See `state_space` for the model and `recursion` for its computation.
"""

from levada.beat_tracking.decoder.decode import (
    DecodedBeats,
    decode_activations,
    decode_beats,
    decode_model,
    decode_states,
    model_posteriors,
    posteriors,
)
from levada.beat_tracking.decoder.peaks import pick_peaks, probabilities
from levada.beat_tracking.decoder.priors import learn_settings
from levada.beat_tracking.decoder.settings import DecoderSettings

__all__ = [
    "DecodedBeats", "DecoderSettings",
    "decode_activations", "decode_beats", "decode_model", "decode_states",
    "learn_settings", "model_posteriors", "pick_peaks", "posteriors", "probabilities",
]  # fmt: skip
