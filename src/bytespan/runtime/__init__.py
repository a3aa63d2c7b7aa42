"""Tagging with ONNX Runtime, and nowhere else: sessions, batching, the generator's steps. Never imports torch."""
