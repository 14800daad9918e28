"""The commands sparsepix-export and sparsepix-train."""
