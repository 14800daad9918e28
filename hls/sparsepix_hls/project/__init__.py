"""What projects of both backends have in common: inputs, results, libraries, tools, parts."""
