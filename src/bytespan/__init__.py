"""bytespan: labelled spans from raw UTF-8 bytes."""
