"""What one can choose for a kind of layer, beside 'auto', by the name of the option. No imports: a --help reads it."""

CHOICES = {
    "conv": ("pairs", "gather", "overlap", "stream"),
    "flatten": ("scatter", "lookup"),
    "dense": ("multiply", "adders"),
}
