"""Images: open them, choose bands, scale values, resample, read tiles ahead."""
