"""What the cells of a model represent: properties of a text, probes for them, clusters, pictures and a report."""
