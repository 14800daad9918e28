"""The command sparsepix-hls."""
