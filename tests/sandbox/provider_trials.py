"""What every type of the provider is tried with."""

from __future__ import annotations

from typing import Final

from tests.sandbox import (
    provider_trials_cache,
    provider_trials_data,
    provider_trials_messages,
    provider_trials_network,
    provider_trials_records,
)

TRIALS: Final = {
    **provider_trials_network.TRIALS,
    **provider_trials_data.TRIALS,
    **provider_trials_messages.TRIALS,
    **provider_trials_records.TRIALS,
    **provider_trials_cache.TRIALS,
}
