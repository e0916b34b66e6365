"""Learned blocks shared by models: attention, triangle updates, transitions, embeddings."""
