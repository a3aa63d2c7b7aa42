"""Learning, with torch: the only room that imports it. What it makes leaves as a model package on disk.

Letters in shapes: B segments in a batch, K input bytes of a segment, T output steps, E embedding width, H LSTM units,
V output symbols, L layers.
"""
