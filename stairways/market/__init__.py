"""Market data: files and vendors in, aligned bars and findings out."""
