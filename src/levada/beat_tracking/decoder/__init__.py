"""Activations become beats: a semi-Markov bar-pointer decoder with posteriors and hints.

- `decode_beats`: the most probable beats, their places in the bar and a confidence for each.
- `posteriors`: the probability of a beat and of a downbeat at every frame.
- `pick_peaks`: the peaks alone, without a model.
- `DecoderSettings`, `learn_settings`: what is believed of tempo and metre, by default or from labels.
- `probabilities`: a network's logits as activations.
- `decode_model`, `model_posteriors`: the same for models of other makers (`model.pattern_pointer`), who score whole
  beats in another way than by activations.

Read `model` for what is believed and `recursion` for how it is computed.
"""

from levada.beat_tracking.decoder.decode import decode_beats, decode_model, model_posteriors, posteriors
from levada.beat_tracking.decoder.peaks import pick_peaks, probabilities
from levada.beat_tracking.decoder.priors import learn_settings
from levada.beat_tracking.decoder.settings import DecoderSettings

__all__ = [
    "DecoderSettings",
    "decode_beats",
    "decode_model",
    "learn_settings",
    "model_posteriors",
    "pick_peaks",
    "posteriors",
    "probabilities",
]
