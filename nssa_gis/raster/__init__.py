"""Images: opening, bands and values, resampling, reading tiles ahead."""
