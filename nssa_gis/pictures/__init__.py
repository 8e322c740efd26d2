"""Pictures of results: previews and plots."""
